"""The command line: `dropslot [--data DIR] COMMAND ... [--json]`."""

import sys
from typing import NoReturn

from server.loading import loading


def main() -> NoReturn:
    """Run the program. To import it takes a moment, in which somebody may press Ctrl-C too."""
    try:
        with loading():
            from server.cli.program import main as run
        run()
    except KeyboardInterrupt:
        sys.stderr.write("Aborted!\n")
        sys.exit(1)


__all__ = ["main"]
