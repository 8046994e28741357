"""The log: one JSON object a line on standard error, or readable lines on a terminal.

What goes into a line: ids, agency slugs, paths, counts, codes, durations. What never does: a secret, a person's name,
a phone number, an address, a cell of a court's file.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    Log = BoundLogger
else:
    Log = Any


def trace(error: BaseException) -> str:
    """Where an unexpected exception came from: its types and places, without their texts, which may quote a cell."""
    chain: list[str] = []
    while error is not None:
        places = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        chain.append("\n".join([type(error).__name__, *places]))
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "\ncaused by ".join(chain)


class _Patient:
    """A stream for the log. What cannot be written (a full disk, a closed pipe) is lost, and nobody's work with it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def open_log(level: str, stream: TextIO | None = None) -> Log:
    """Set up logging for this process and give its log; `stream` is standard error unless named."""
    import structlog  # not above: commands that log nothing start faster without

    stream = stream or sys.stderr
    patient = cast(TextIO, _Patient(stream))
    # Libraries talk through the standard logging; only what an operator must see of it comes through.
    logging.basicConfig(level=logging.ERROR, stream=patient, format="%(name)s: %(message)s", force=True)
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(patient),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide_texts,
            structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def _hide_texts(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`log.exception(...)` logs a `trace` instead of Python's traceback."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if given and error:
        event["trace"] = trace(error)
    return event
