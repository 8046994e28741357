"""Where the master key comes from, and which other ones may still open what was sealed before.

One of four places, as the operator sets it:

    file           keys/master.key of the data directory, made on the first start (when nothing else is set), and never
                   again where something is sealed already: it would open nothing of that
    environment    the key itself, as text
    secret file    a file that a secret manager puts there
    KMS            keys/master.kms of the data directory, which only AWS KMS can open

While one key replaces another, both are there: `NAME.next` beside the file of the data directory, or `previous` ones
that the operator sets. The new one seals; all open. `server.rotation` tells the whole story.
"""

import base64
import binascii
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keys.cipher import LOST, Cipher
from keys.errors import KeysError
from keys.kms import Kms
from keys.secret import (
    MASTER_BYTES,
    MASTER_FILE,
    Secret,
    create_once,
    load_or_create_master,
    read_closed,
    read_master,
    replace_durably,
)

KMS_FILE = "master.kms"
NEXT = ".next"
LARGEST = 4096
HEX, BASE64 = 64, 44  # characters of 32 bytes


@dataclass(frozen=True)
class MasterSettings:
    """What the operator set: at most one of `text`, `file` and `kms`; and keys of before, as text or files."""

    text: Secret | None = None
    file: str = ""
    kms: Kms | None = None
    previous: Secret | None = None
    previous_file: str = ""


class MasterKeys:
    """Gives the cipher of an installation; asks KMS once for each encrypted form."""

    def __init__(
        self, directory: Path, settings: MasterSettings, is_needed: Callable[[], bool] = lambda: False
    ) -> None:
        """`directory` is the data directory's `keys`; `is_needed` tells whether anything was sealed already.

        Raises KeysError invalid if several places are set.
        """
        if sum(map(bool, (settings.text, settings.file, settings.kms))) > 1:
            raise KeysError(
                "invalid",
                "The master key is set in several ways.",
                "Set one of DROPSLOT_MASTER_KEY, DROPSLOT_MASTER_KEY_FILE and DROPSLOT_MASTER_KEY_KMS.",
            )
        self._directory = directory
        self._settings = settings
        self._is_needed = is_needed
        self._opened: dict[bytes, Secret] = {}

    @property
    def place(self) -> str:
        """Where the master key is, for people."""
        if self._settings.text:
            return "DROPSLOT_MASTER_KEY"
        if self._settings.file:
            return self._settings.file
        return str(self._stored)

    @property
    def is_ours(self) -> bool:
        """Whether we make the key ourselves (KMS and the file of the data directory), or are given it."""
        return not self._settings.text and not self._settings.file

    @property
    def kept_file(self) -> Path | None:
        """A `keys/master.key` that was the master key before another place was set, and still opens."""
        path = self._directory / MASTER_FILE
        return path if path.exists() and not (self.is_ours and self._stored == path) else None

    def cipher(self) -> Cipher:
        """Seals with the newest key, opens with all. Raises KeysError."""
        newest, *others = self._keys()
        return Cipher(newest, *others)

    def begin(self) -> None:
        """Have the next key made, if it is not there: from now on it seals. Raises KeysError."""
        self.cipher()  # the present one must be there, and be good
        path = self._stored
        self._load(path.with_name(path.name + NEXT), create=True)

    def finish(self) -> None:
        """Let the next key take the place of the present one, which is gone then. Raises KeysError."""
        path = self._stored
        draft = path.with_name(path.name + NEXT)
        if draft.exists():
            replace_durably(draft, path)

    @property
    def under_way(self) -> bool:
        """Whether a next key is there: a rotation runs, or did not come to its end."""
        return self.is_ours and self._stored.with_name(self._stored.name + NEXT).exists()

    @property
    def _stored(self) -> Path:
        """The file of the data directory, if it is ours."""
        return self._directory / (KMS_FILE if self._settings.kms else MASTER_FILE)

    def _keys(self) -> Iterator[Secret]:
        """The newest first. The next one is looked for before the present one, whose place it may take just then."""
        settings = self._settings
        if settings.text:
            yield read_text(settings.text.reveal(), "DROPSLOT_MASTER_KEY")
        elif settings.file:
            yield read_given(Path(settings.file))
        else:
            self._refuse_forgotten_kms()
            self._refuse_lost()
            yield from self._next()
            yield self._load(self._stored, create=True)
        if settings.previous:
            yield read_text(settings.previous.reveal(), "DROPSLOT_MASTER_KEY_PREVIOUS")
        if settings.previous_file:
            yield read_given(Path(settings.previous_file))
        if self.kept_file:
            yield read_master(self._directory / MASTER_FILE)

    def _next(self) -> Iterator[Secret]:
        draft = self._stored.with_name(self._stored.name + NEXT)
        if draft.exists():
            try:
                yield self._load(draft, create=False)
            except KeysError:
                if draft.exists():  # else it has just become the present one
                    raise

    def _load(self, path: Path, create: bool) -> Secret:
        kms = self._settings.kms
        if kms is None:
            return load_or_create_master(path.parent, path.name) if create else read_master(path)
        if create:
            create_once(path, lambda: kms.make()[1])
        blob = read_closed(path)
        if blob not in self._opened:
            self._opened[blob] = kms.open(blob)
        return self._opened[blob]

    def _refuse_forgotten_kms(self) -> None:
        """Without its setting, a new key would be made that opens nothing."""
        ours = (self._directory / MASTER_FILE).exists()
        if self._settings.kms is None and not ours and (self._directory / KMS_FILE).exists():
            raise KeysError(
                "invalid",
                f"AWS KMS keeps this installation's master key ({self._directory / KMS_FILE}).",
                "Set DROPSLOT_MASTER_KEY_KMS to the key it was made with.",
            )

    def _refuse_lost(self) -> None:
        """A new key opens nothing of what is there; and what it seals, the right one does not open."""
        settings = self._settings
        others = settings.previous or settings.previous_file or self.kept_file or self.under_way
        if not os.path.lexists(self._stored) and not others and self._is_needed():
            raise KeysError(
                "not_found",
                f"The master key is missing: there is no {self._stored}, and what the database has sealed needs it.",
                f"Restore that file, or set DROPSLOT_MASTER_KEY... as it was when the server ran. {LOST}",
            )


def read_given(path: Path) -> Secret:
    """A master key that a secret manager put there: 32 bytes, or as text; its mode is the manager's.

    Raises KeysError unavailable if it is not there (yet), invalid if it is no key.
    """
    try:
        with path.open("rb") as file:
            value = file.read(LARGEST)
    except OSError as error:
        why = (error.strerror or "unknown error").lower()
        raise KeysError(
            "unavailable", f"The master key {path} cannot be read ({why}).", "Check DROPSLOT_MASTER_KEY_FILE."
        ) from error
    return Secret(value) if len(value) == MASTER_BYTES else read_text(value, str(path))


def read_text(text: bytes, name: str) -> Secret:
    """A master key written as base64 (44 characters) or hex (64). Raises KeysError invalid; it does not quote it."""
    word = text.strip()
    for length, read in (
        (MASTER_BYTES * 2, binascii.unhexlify),
        (44, base64.b64decode),
        (44, base64.urlsafe_b64decode),
    ):
        if len(word) == length:
            try:
                value = read(word)
            except ValueError:
                continue
            if len(value) == MASTER_BYTES:
                return Secret(value)
    raise KeysError(
        "invalid",
        f"{name} is no master key.",
        f"It is {MASTER_BYTES} random bytes, written as base64 or hex: openssl rand -base64 {MASTER_BYTES}",
    )
