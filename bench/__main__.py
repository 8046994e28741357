"""`python -m bench [PART ...]`: measure, print a table, write bench/out/results.json."""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from bench import (
    busy,
    cores,
    distance,
    door,
    handshakes,
    homes,
    ingestion,
    latency,
    neighbours,
    nightfall,
    scale,
    sessions,
    small,
    workbook,
)
from bench.figures import Figure, Missing, UnavailableError
from bench.report import Report, print_table, versions, write_json, write_markdown

HERE = Path(__file__).parent
OUT = HERE / "out"
PARTS: Mapping[str, Callable[[Path, int, bool], Sequence[Figure | Missing]]] = MappingProxyType(
    {
        "door": door.measure,
        "small": small.measure,
        "handshakes": handshakes.measure,
        "sessions": sessions.measure,
        "distance": distance.measure,
        "cores": cores.measure,
        "neighbours": neighbours.measure,
        "ingest": ingestion.measure,
        "latency": latency.measure,
        "scale": scale.measure,
        "workbook": workbook.measure,
        "busy": busy.measure,
        "nightfall": nightfall.measure,
        "homes": homes.measure,
    }
)


def main() -> None:
    """Run the parts that were asked for; exit status 0 whatever the figures are, 1 if a part broke."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: every server is stopped on the way out
    console = Console(width=None if sys.stdout.isatty() else 200)
    figures: list[Figure] = []
    left_out: list[str] = []
    broken = False
    asked.directory.mkdir(parents=True, exist_ok=True)
    for part in asked.parts or PARTS:
        console.print(f"Measuring: {part}", style="dim")
        try:
            with tempfile.TemporaryDirectory(prefix=f"{part}-", dir=asked.directory) as folder:
                rows = PARTS[part](Path(folder), asked.rounds, asked.quick)
            figures += [row for row in rows if isinstance(row, Figure)]
            left_out += [f"{part}: {row.reason}." for row in rows if isinstance(row, Missing)]
        except UnavailableError as reason:
            left_out.append(f"{part}: {reason}.")
        except (ImportError, RuntimeError) as error:  # the other parts are still worth having
            left_out.append(f"{part} broke: {error}")
            broken = True
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    date = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(date, command, asked.rounds, asked.quick, versions(), figures, left_out)
    print_table(report, console)
    write_json(report, OUT / "results.json")
    if asked.write:
        write_markdown(report, HERE / "RESULTS.md")
    sys.exit(1 if broken else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which medians are taken (3)")
    parser.add_argument("--quick", action="store_true", help="small files and one look: does it work at all")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md too")
    parser.add_argument("--directory", type=Path, default=OUT, help="where to work: the disk that is measured")
    asked = parser.parse_args()
    asked.directory = asked.directory.resolve()
    asked.rounds = 1 if asked.quick else asked.rounds
    return asked


if __name__ == "__main__":
    main()
