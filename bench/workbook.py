"""An XLSX of 100k rows from file to committed records, against openpyxl doing no more than looking at each cell."""

import tempfile
from functools import partial
from pathlib import Path

from bench.apart import Run, apart, timed
from bench.figures import Figure, Target, compare
from bench.ingestion import SEED, WARM_ROWS

TARGET = Target(least=2)
PEER = "openpyxl reading"


def measure(folder: Path, rounds: int, quick: bool) -> list[Figure]:
    """The figure of workbooks."""
    rows = 5_000 if quick else 100_000
    warm, file = folder / "warm.xlsx", folder / "report.xlsx"
    for path, number in ((warm, WARM_ROWS), (file, rows)):
        apart(write_file, path, number)
    runs = [_round(folder, warm, file) for _ in range(rounds)]
    ours, theirs = ([rows / run[side].seconds for run in runs] for side in (0, 1))
    spent = f"CPU {runs[-1][0].cpu:.1f} s against {runs[-1][1].cpu:.1f}, peak {runs[-1][0].peak:.0f} MiB"
    return [compare("workbook", f"XLSX, {rows // 1000}k rows", "rows/s", ours, PEER, theirs, TARGET, spent)]


def write_file(file: Path, rows: int) -> Run:
    """Write the standard report as a workbook of one sheet."""
    import openpyxl  # type: ignore[import-untyped]

    from ingest.sample import write_ecr

    text = file.with_suffix(".txt")
    write_ecr(text, rows, SEED)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Report")
    with text.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            sheet.append(line.rstrip("\r\n").replace("\0", "").split("|"))
    book.save(file)
    return Run(0, 0, {})


def run_engine(folder: Path, warm: Path, file: Path) -> Run:
    """Ingest the workbook into a new database, after a small one into another."""
    from bench.engine import court

    with court(folder / "warm") as other:
        other.take(warm)
    with court(folder / "engine") as own:
        return timed(partial(own.take, file))


def run_openpyxl(file: Path) -> Run:
    """Look at every cell as openpyxl does it fastest."""
    import openpyxl

    def read() -> dict[str, int]:
        sheet = openpyxl.load_workbook(file, read_only=True).worksheets[0]
        return {"rows": sum(1 for _ in sheet.iter_rows(values_only=True))}

    return timed(read)


def _round(folder: Path, *files: Path) -> tuple[Run, Run]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return apart(run_engine, Path(name), *files), apart(run_openpyxl, files[-1])
