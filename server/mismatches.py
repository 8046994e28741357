"""The last clients that could not agree with the door on algorithms: one small file that all processes share.

So an operator whom a court calls ("we cannot connect any more") sees what its client offered and what would help.
"""

import fcntl
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

LAST = 50


@dataclass(frozen=True)
class Mismatch:
    """One client: when (ISO 8601, UTC) and from where it came, its banner, and what it has not in common with us.

    `missing` are words (`cipher`), `offered` the client's names by such a word, `fitting` the policies of ours that
    would let it in. `times` counts its tries.
    """

    at: str
    source_ip: str
    client: str
    policy: str
    missing: tuple[str, ...]
    offered: dict[str, list[str]]
    fitting: tuple[str, ...]
    times: int = 1

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, for the client's person."""
        return f"No common {' and no common '.join(self.missing)}: {self.advice}."

    @property
    def advice(self) -> str:
        """What would let it in."""
        if self.fitting:
            return f"ask the operator for policy {self.fitting[0]}"
        return "this client offers only what no policy allows; update it"


class Mismatches:
    """Keeps the last `LAST` of them in the data directory's `run/mismatches.json`. All methods block."""

    def __init__(self, data: Path) -> None:
        self._path = data / "run" / "mismatches.json"

    def keep(self, fresh: Iterable[Mismatch]) -> None:
        """Add some, the oldest first; a client that comes again is counted, not listed twice. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = {_who(mismatch): mismatch for mismatch in reversed(self.last())}
            for mismatch in fresh:
                before = kept.pop(_who(mismatch), None)
                kept[_who(mismatch)] = replace(mismatch, times=mismatch.times + (before.times if before else 0))
            beside = self._path.with_suffix(".tmp")
            beside.write_text(json.dumps([asdict(mismatch) for mismatch in list(kept.values())[-LAST:]]))
            beside.rename(self._path)

    def last(self) -> list[Mismatch]:
        """Those kept, newest first; none if the file is missing or cannot be read."""
        try:
            rows = json.loads(self._path.read_text())
            return [_mismatch(row) for row in reversed(rows)]
        except (OSError, ValueError, TypeError, KeyError):
            return []


def _who(mismatch: Mismatch) -> tuple[str, str, tuple[str, ...]]:
    return mismatch.source_ip, mismatch.client, mismatch.missing


def _mismatch(row: dict[str, object]) -> Mismatch:
    given = {**row, "missing": tuple(row["missing"]), "fitting": tuple(row["fitting"])}  # type: ignore[arg-type]
    return Mismatch(**given)  # type: ignore[arg-type]
