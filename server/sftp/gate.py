"""What the door asks of the rest of the house: who may come in, and who is told of what came in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from keys.secret import Secret
from server.intake.entry import Entry
from server.intake.spool import Manifest
from server.intake.taken import Footprint
from server.intake.usage import UNLIMITED, Quota
from server.networks import Network
from server.services.credential import Credential, PasswordProof


@dataclass(frozen=True)
class Account:
    """An agency as the door knows it: its id, its slug (which is the user name), and the directory it sees as `/`.

    `networks` are those it may come from (none: from anywhere). `until` is when it must be asked for again, because
    what proved it expires (None: never). `quota` is how much its `/upload` may hold.
    """

    agency_id: str
    slug: str
    home: Path
    networks: tuple[Network, ...] = ()
    until: datetime | None = None
    quota: Quota = UNLIMITED


class Gate(Protocol):
    """Decides who may log in; asked anew every time, so that a revoked key is refused at once."""

    async def admit(self, username: str, credential: Credential) -> Account | None:
        """The account of that user name and key or other proof, or None (unknown user and bad key alike)."""
        ...

    def takes_password(self, username: str) -> bool:
        """Whether the operator lets that user name log in with a password. Must not block."""
        ...

    async def prove_password(self, username: str, password: Secret) -> PasswordProof | None:
        """What the password proves if it is the right one, for `admit`; takes its time, so that guessing does."""
        ...

    def used(self, username: str, credential: Credential, address: str, client: str) -> None:
        """Somebody has logged in, from that address and with the program of that banner. Must not block."""
        ...

    def fetched(self, username: str, session: str, client: str, path: str, size: int) -> None:
        """So many bytes of a file were sent in that session, with the program of that banner. Must not block."""
        ...

    async def host_keys(self) -> list[bytes]:
        """The private keys the server has now (OpenSSH's or PEM's format); asked again every other second.

        Of each algorithm the first proves the server, the others are only announced, so that clients can learn them.
        """
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

    def renamed(self, agency: str, files: Mapping[str, Footprint]) -> None:
        """The sender gave other final names to files that were noted or taken under their old ones.

        `agency` is the slug, `files` are by their new paths. They are no new arrivals; but one that was unmatched or
        blocked may fit its new name.
        """
        ...
