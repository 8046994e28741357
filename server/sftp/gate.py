"""What the door asks of the rest of the house: who may come in, and who is told of what came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from server.intake.entry import Entry
from server.intake.spool import Manifest
from server.networks import Network


@dataclass(frozen=True)
class Account:
    """An agency as the door knows it: its id, its slug (which is the user name), and the directory it sees as `/`.

    `networks` are those it may come from; none: from anywhere.
    """

    agency_id: str
    slug: str
    home: Path
    networks: tuple[Network, ...] = ()


class Gate(Protocol):
    """Decides who may log in; asked anew every time, so that a revoked key is refused at once."""

    async def admit(self, username: str, fingerprint: str) -> Account | None:
        """The account of that user name and key (`SHA256:...`), or None (unknown user and bad key alike)."""
        ...

    async def knows(self, username: str) -> bool:
        """Whether there is an account of that name. Only for the record: no answer to a client depends on it."""
        ...

    async def stamp(self) -> object:
        """Something that is equal to what it was before only if nobody's admission can have changed meanwhile.

        Asked every other second, so that a session whose key is revoked or whose agency is switched off ends soon.
        """
        ...


class Intake(Protocol):
    """Is told, in a thread, of what the door received. Its methods must not raise."""

    def received(self, manifests: Sequence[Manifest]) -> None:
        """Whole files are in the spool, at least one, in this order, and their senders had time to take them back."""
        ...

    def torn(self, entry: Entry) -> None:
        """An upload ended before it was whole, or a torn file got another name; or it is whole and only held.

        Held means that its name is a temporary one, and nothing comes of it unless its sender renames it.
        """
        ...

    def removed(self, entry: Entry) -> None:
        """The sender deleted a torn or held file."""
        ...

    def renamed(self, agency: str, old: str, new: str) -> None:
        """The sender gave another final name to a file, or directory, that was noted or taken under its old one.

        `agency` is the slug. It is no new arrival; but one that was unmatched or blocked may fit its new name.
        """
        ...
