"""The one kind of refusal the server raises, and its six codes.

Tree (each door has one table that turns a code into its own answer):

    AppError              a refused operation: one code, one sentence, one hint
      invalid             the request itself is wrong
      not_found           what it names does not exist
      conflict            it contradicts what is there already
      denied              whoever asks may not
      unavailable         something it needs is away just now; trying again later may help
      internal            our bug; outsiders see "internal error" only

Anything that is not an `AppError`, `ingest.errors.IngestError` or `keys.errors.KeysError` is our bug.
"""

from enum import StrEnum


class Code(StrEnum):
    """Why an operation was refused."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class AppError(Exception):
    """A refused operation: `message` says what is wrong, `hint` what to do about it.

    Neither may hold a secret, a name, a phone number or a cell of a court's file.
    """

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
