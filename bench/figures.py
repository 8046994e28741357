"""What a measurement gives: figures, and whether they reach their target."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


class UnavailableError(Exception):
    """This part cannot be measured on this machine; the text says why."""


@dataclass(frozen=True)
class Missing:
    """A row that cannot be measured on this machine."""

    reason: str


@dataclass(frozen=True)
class Target:
    """What a figure must reach: `least` or `most` of its ratio, or of its own value where nothing is compared."""

    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"

    def reached_by(self, value: float) -> bool:
        """Whether `value` is good enough."""
        return value >= self.least if self.least is not None else value <= (self.most or 0)


@dataclass(frozen=True)
class Figure:
    """One row of the table: medians over the rounds, and the ratio of values taken in the same round."""

    part: str
    what: str
    unit: str
    value: float
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    target: Target | None = None
    beside: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without target."""
        if self.target is None:
            return None
        return self.target.reached_by(self.value if self.ratio is None else self.ratio)


def compare(
    part: str,
    what: str,
    unit: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    target: Target | None = None,
    beside: str = "",
) -> Figure:
    """A figure from values of the same rounds, in the same order."""
    ratio = median(mine / other for mine, other in zip(ours, theirs, strict=True))
    samples = {"dropslot": list(ours), peer: list(theirs)}
    return Figure(part, what, unit, median(ours), peer, median(theirs), ratio, target, beside, samples)


def alone(
    part: str, what: str, unit: str, values: Sequence[float], target: Target | None = None, beside: str = ""
) -> Figure:
    """A figure that is compared with nothing but its target."""
    return Figure(part, what, unit, median(values), target=target, beside=beside, samples={"dropslot": list(values)})
