"""The refusals of the key store; the codes are the same six as everywhere (see `server.errors`)."""


class KeysError(Exception):
    """A key that cannot be used: `code` is one of invalid, not_found, conflict, denied, unavailable, internal.

    Neither sentence nor hint may ever hold key material.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
