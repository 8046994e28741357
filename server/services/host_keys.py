"""The server's own keys as they are just now, for a process that runs while they are rotated."""

from collections.abc import Callable

from keys.cipher import Cipher
from keys.errors import KeysError
from keys.store import list_host_keys, open_host_keys, order_host_keys
from server.clock import now
from server.db import Database


class HostKeys:
    """Opens the private halves when the keys have changed, and else only looks whether they have."""

    def __init__(self, database: Database, cipher: Callable[[], Cipher]) -> None:
        self._database = database
        self._cipher = cipher
        self._order: list[str] = []
        self._files: list[bytes] = []

    def read(self) -> list[bytes]:
        """The private keys in OpenSSH's format: of each algorithm the first is used, others are only announced."""
        try:
            self._refresh()
        except KeysError:  # the master key may have been replaced between our two looks
            self._refresh()
        return self._files

    def _refresh(self) -> None:
        with self._database.reading() as conn:
            at = now()
            order = [key.id for key in order_host_keys(list_host_keys(conn), at)]
            if order != self._order:
                self._files = [key.private.reveal() for key in open_host_keys(conn, self._cipher(), at)]
                self._order = order
