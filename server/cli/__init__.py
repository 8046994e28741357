"""The command line: `dropslot [--data DIR] COMMAND ... [--json]`."""

from server.cli.program import main

__all__ = ["main"]
