"""A profile's report on its cycle; see `server.outbound.delivery`, which is loaded when a profile wants one."""

from ingest.arrival import Profile
from server.agencies import Agency
from server.clock import now
from server.remotes.port import Remote
from server.state import State
from server.sync.cycle import Deliver


def deliver_from(state: State) -> Deliver:
    """Delivers reports of what this installation holds."""

    async def deliver(remote: Remote, agency: Agency, profile: Profile) -> str | None:
        from server.outbound.delivery import deliver_report

        return (await deliver_report(state, agency, profile, remote, now())).name

    return deliver
