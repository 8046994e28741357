"""What makes a whole file unreadable.

A bad row is a value (`ingest.answer.RowError`) and never raised; a bad file is an `IngestError`: shown to the agency
with its hint, never retried. Anything else that leaves the engine is our bug.
"""


class IngestError(Exception):
    """A file, or a template, that cannot be used: a stable `code`, a sentence, and a hint what to do.

    The sentence may name columns, positions, sizes and row numbers of the agency's own file; it is shown to that
    agency. It must never hold a cell's value. Where the columns of a file are not as they should be, `expected` and
    `found` are the names of both.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", expected: tuple[str, ...] = (), found: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.expected, self.found = expected, found
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfirmationNeeded(IngestError):  # noqa: N818 - nothing went wrong
    """A file that takes effect only once a person has said so; its code names what is to be confirmed.

    The upload's status is `awaiting_confirmation`, and nothing is changed. `inbox.confirm_upload` lets the file run
    again, with the code among the arrival's `confirmed` ones.
    """
