"""The figures as a table for the terminal, as JSON for programs, and as Markdown for the repository."""

import json
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import Figure

COLUMNS = ("part", "what", "dropslot", "against", "ratio", "target", "", "beside")
LIBRARIES = ("asyncssh", "cryptography", "pandas", "pyarrow", "sqlalchemy", "uvloop")


@dataclass(frozen=True)
class Report:
    """Everything one run of the bench gave."""

    #: ISO 8601, UTC.
    date: str
    command: str
    rounds: int
    quick: bool
    versions: dict[str, str]
    figures: list[Figure]
    #: What could not be measured here, and why.
    left_out: list[str]


def versions() -> dict[str, str]:
    """What was measured, and on what."""
    found = {
        "dropslot": _library("dropslot"),
        "python": platform.python_version(),
        **{name: _library(name) for name in LIBRARIES},
        "OpenSSH": _program("ssh", "-V").split(",")[0],
        "rclone": _program("rclone", "version").partition("\n")[0].removeprefix("rclone "),
        "go": _program("go", "version").removeprefix("go version "),
        "sqlite3": _program("sqlite3", "--version").split(" ")[0],
        "kernel": platform.release(),
        "machine": f"{_cpus()}, {_memory_gib():.0f} GiB",
    }
    return {name: text for name, text in found.items() if text}


def print_table(report: Report, console: Console) -> None:
    """Print the table, and what is not in it."""
    table = Table(*COLUMNS, box=box.SIMPLE)
    for figure in report.figures:
        table.add_row(*_cells(figure), style={True: "green", False: "red", None: ""}[figure.reached])
    console.print(table)
    for sentence in report.left_out:
        console.print(f"Left out: {sentence}")


def write_json(report: Report, path: Path) -> None:
    """Write the report for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = [{**asdict(figure), "reached": figure.reached} for figure in report.figures]
    path.write_text(json.dumps({**asdict(report), "figures": figures}, indent=2) + "\n")


def write_markdown(report: Report, path: Path) -> None:
    """Write the report for people who read the repository."""
    head = [
        "# Results of `make bench`",
        "",
        f"Measured {report.date} with `{report.command}`: medians of {report.rounds} round(s), the sides in turns;",
        "ratios of values taken in the same round. Compare ratios, not values: the machine is shared and small.",
        "",
        *(f"- {name}: {text}" for name, text in report.versions.items()),
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    rows = ["| " + " | ".join(_cells(figure)) + " |" for figure in report.figures]
    tail = [f"\nLeft out: {sentence}" for sentence in report.left_out]
    path.write_text("\n".join([*head, *rows, *tail]) + "\n")


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.part,
        figure.what,
        f"{_number(figure.value)} {figure.unit}",
        f"{figure.peer} {_number(figure.peer_value)}" if figure.peer_value is not None else "",
        f"{figure.ratio:.2f} x" if figure.ratio is not None else "",
        _target(figure),
        {True: "pass", False: "below", None: ""}[figure.reached],
        figure.beside,
    )


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{figure.target} {'x' if figure.ratio is not None else figure.unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _library(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _program(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return (done.stdout or done.stderr).strip()


def _cpus() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.machine()


def _memory_gib() -> float:
    return int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
