"""How the cycle gets to a place, with the adapters loaded only then."""

from contextlib import AbstractAsyncContextManager

from server.logs import Log
from server.remotes.port import Remote
from server.state import State
from server.sync.plan import Place
from server.sync.syncer import Reach


def reach_place(state: State, log: Log) -> Reach:
    """Opens a connection to a place as it is configured just then."""

    def reach(place: Place) -> AbstractAsyncContextManager[Remote]:
        from server.remotes.reach import open_remote  # whoever needs no other server loads none of what talks to them

        home = state.settings.home(next(iter(place.agencies.values())).slug)
        return open_remote(state.database, state.cipher, log, place.server.id, home)

    return reach
