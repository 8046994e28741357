"""The log: one JSON object a line on standard error, or readable lines on a terminal.

What goes into a line: ids, agency slugs, paths, counts, codes, durations. What never does: a secret, a person's name,
a phone number, an address, a cell of a court's file.
"""

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

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


def open_log(level: str, stream: TextIO = sys.stderr) -> Log:
    """Set up logging for this process and give its log."""
    import structlog  # not above: commands that log nothing start faster without

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    # Libraries talk through the standard logging; only what an operator must see of it comes through.
    logging.basicConfig(level=logging.ERROR, stream=stream, format="%(name)s: %(message)s", force=True)
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    log: Log = structlog.get_logger()
    return log
