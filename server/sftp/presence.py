"""What one connection counts for, from its first byte to its last: as a stranger, then as a session of an agency.

The counts are slots that all processes share. How a stranger left is told to the guard, which scores it.
"""

from server.defence import Fault
from server.networks import group
from server.sftp.desk import Desk
from server.sftp.slots import Slot


class Presence:
    """One connection from `address`; it has not said who it is."""

    def __init__(self, desk: Desk, address: str) -> None:
        self.address = address
        self._desk = desk
        self._group = group(address)
        self._slots: list[Slot] = []
        self._is_stranger = False

    def enter(self) -> bool:
        """Count it as a stranger; False if there are too many of them.

        As sshd's MaxStartups: who connects and never says who they are must not use up what the courts need. One
        address gets less than all, and enough for a court whose machines share it and connect at the same moment.
        """
        settings = self._desk.settings
        self._is_stranger = True
        self._desk.strangers += 1
        mine = self._take(f"stranger {self._group}", settings.strangers_per_address)
        if mine and self._take("strangers", settings.strangers):
            return True
        if not mine:
            self._desk.guard.note(self.address, Fault.LIMIT)
        return False

    def log_in(self, agency: str) -> str | None:
        """It is a session of that agency now; or a sentence that there are too many of them."""
        settings = self._desk.settings
        self.leave()
        self._desk.guard.note(self.address, Fault.LOGIN)
        if not self._take(f"agency {agency}", settings.sessions_per_agency):
            return f"More than {settings.sessions_per_agency} connections at a time are not allowed."
        spared = self._desk.guard.spares(self.address)
        if not spared and not self._take(f"address {self._group}", settings.sessions_per_address):
            return f"More than {settings.sessions_per_address} connections from one address are not allowed."
        return None

    def leave(self) -> None:
        """It counts no more."""
        self._desk.strangers -= self._is_stranger
        self._is_stranger = False
        while self._slots:
            self._slots.pop().release()

    async def blame(self, names: set[str]) -> str:
        """Note what a stranger did wrong who tried to log in under these names (or none) and left; what it was.

        The user's existence is looked up only now, when nobody waits for an answer whose time could tell it.
        """
        faults = [await self._fault(name) for name in names] if names else [Fault.NO_AUTH]
        for fault in faults:
            self._desk.guard.note(self.address, fault)
        return str(faults[-1])

    async def _fault(self, username: str) -> Fault:
        return Fault.BAD_KEY if await self._desk.gate.knows(username) else Fault.UNKNOWN_USER

    def _take(self, name: str, most: int) -> bool:
        slot = self._desk.slots.take(name, most)
        if slot:
            self._slots.append(slot)
        return slot is not None
