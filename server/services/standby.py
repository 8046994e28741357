"""Enough to open the door with while the database is away: the host keys, and who was let in a moment ago.

A door that runs remembers that by itself. This is for one that begins: a machine that lost its power together with the
database's, or a process that crashed. It is kept in the data directory, sealed under the master key, by every door
that runs, anew each time it looks at the database; whatever takes trust away throws it away first, so that a door which
did not run meanwhile never opens with what was revoked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from keys.cipher import Cipher
from keys.errors import KeysError
from server.clock import now
from server.placing import replace_closed
from server.services.trust import Trust, Trusted

FRESH = timedelta(days=1)
_PURPOSE = "standby"


@dataclass(frozen=True)
class Known:
    """What a door knows: private host keys in OpenSSH's format, and who may come in."""

    host_keys: tuple[bytes, ...]
    trusted: Trusted


class Standby:
    """One sealed file. Passwords are not in it: they are not taken while the database is away."""

    def __init__(self, path: Path, cipher: Callable[[], Cipher]) -> None:
        self._path = path
        self._cipher = cipher

    @cached_property
    def _form(self) -> TypeAdapter[Known]:
        return TypeAdapter(Known)  # which takes its time, and most commands do without

    def keep(self, known: Known) -> None:
        """Remember this instead of what was known before. Raises OSError, KeysError."""
        trusted = replace(known.trusted, entries=tuple(map(_without_password, known.trusted.entries)))
        plain = self._form.dump_json(replace(known, trusted=trusted))
        replace_closed(self._path, self._cipher().seal(plain, _PURPOSE))

    def recall(self) -> Known | None:
        """What was known within the past day; None if there is nothing, or nothing that can be opened and read."""
        try:
            known = self._form.validate_json(self._cipher().open(self._path.read_bytes(), _PURPOSE))
        except (OSError, KeysError, ValidationError):
            return None
        return known if known.host_keys and now() - known.trusted.at < FRESH else None

    def forget(self) -> None:
        """Somebody may come in no longer, or the master key is another one. A door that runs learns of it anew."""
        self._path.unlink(missing_ok=True)


def _without_password(entry: tuple[str, str, Trust]) -> tuple[str, str, Trust]:
    username, source, trust = entry
    return username, source, replace(trust, agency=replace(trust.agency, password_hash=None))
