"""Whether the times of a sample tell the night from the afternoon: without AM and PM, 1:30 is at night if 24 hours are
counted, and mostly in the afternoon if they are not."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest import coerce
from ingest.infer.sight import Seen

_NIGHT, _NOON = range(1, 7), 12
_SAYS = frozenset({"AM", "PM"})
_MEANS = frozenset({"A", "P", "A.M.", "P.M.", "A.M", "P.M"})
_MOSTLY = 0.9
_PADDED = re.compile(r"0[1-9][:\d]+")


@dataclass(frozen=True)
class Clock:
    """How the times of `seen` are written: `times`, or if it is open whether 24 hours are counted, the `choices`, and
    `times` beside them.

    `night` of the times have neither AM nor PM and are from 1:00 to 6:59. `shown` is False if no time has an hour that
    tells. `beside` is a column that says AM or PM for each of them; `like` one that may, in other words.
    """

    seen: Seen
    times: tuple[str, ...]
    choices: tuple[str, ...] = ()
    night: int = 0
    shown: bool = True
    beside: Seen | None = None
    like: Seen | None = None


def tell_clock(seen: Seen, columns: Sequence[Seen]) -> Clock:
    """Look at the times in a column, which may stand behind dates, and at its neighbours."""
    dated = seen.contents.dated
    times = dated.times if dated is not None and dated.timed else seen.contents.times
    plain = tuple(form for form in times if "%H" in form)
    hours = _hours(seen, plain) if plain else Counter[int]()
    if not hours:
        return Clock(seen, times)
    night = sum(hours[hour] for hour in _NIGHT)
    if max(hours) > _NOON:
        return Clock(seen, times, night=night)
    twelve = tuple(f"{form.replace('%H', '%I')} %p" for form in plain)
    near = sorted(columns, key=lambda other: abs(other.place - seen.place))
    beside = next((other for other in near if _words(other, _SAYS) and _completes(seen, other, twelve)), None)
    if beside is not None:
        return Clock(seen, twelve, beside=beside)
    like = next((other for other in near if _words(other, _SAYS | _MEANS)), None)
    if night:
        others = tuple(form for form in times if form not in plain)
        return Clock(seen, others, (*plain, *twelve), night, like=like)
    return Clock(seen, times, shown=0 in hours or _padded(seen), like=like)


def _hours(seen: Seen, forms: Sequence[str]) -> Counter[int]:
    """How many times there are of each hour."""
    read = seen.column.map(coerce.tidy).map(lambda texts: _read(seen, texts, forms)).texts()
    return Counter(int(time[:2]) for time in read if time)


def _read(seen: Seen, texts: Sequence[str], forms: Sequence[str]) -> list[str | None]:
    dated = seen.contents.dated
    if dated is not None and dated.timed:
        return coerce.read_moments(texts, (*dated.choices, *dated.formats), forms)[1]
    return coerce.read_times(texts, forms)


def _words(seen: Seen, words: frozenset[str]) -> bool:
    """Whether the cells of a column hold these words alone."""
    told = {text.upper() for text in coerce.tidy(seen.column.values)} - {""}
    return bool(told) and told <= words


def _completes(seen: Seen, other: Seen, forms: Sequence[str]) -> bool:
    """Whether the cells of both columns together are times with AM and PM."""
    both = list(dict.fromkeys(_joined(seen, other)))
    read = _read(seen, both, forms)
    return sum(time is not None for time in read) >= _MOSTLY * len(both)


def _joined(seen: Seen, other: Seen) -> Iterator[str]:
    for time, half in zip(seen.column.texts(), other.column.texts(), strict=True):
        if time and time.strip():
            yield " ".join(coerce.tidy([f"{time} {half or ''}"]))


def _padded(seen: Seen) -> bool:
    """Whether an hour before 10 is written with a zero, as those who count 24 do."""
    dated = seen.contents.dated
    texts = coerce.tidy(seen.column.values)
    return any(_PADDED.fullmatch(re.split(r"[\sT]", text)[-1] if dated and dated.timed else text) for text in texts)
