"""What a column holds whose name says nothing, or that has none: told by its cells alone, and never with certainty."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest import coerce
from ingest.infer.names import OTHERS, fields_named, words_of
from ingest.infer.sight import Seen, Sight

if TYPE_CHECKING:
    from ingest.infer.proposal import Match

_MOST = 0.75
_UNSURE = 0.5
_AGO = 10
"""Years by which births and the like lie before hearings, mostly."""
Offer = Callable[..., "Match"]


def guess_by_content(sight: Sight, columns: Sequence[Seen], matches: Sequence["Match"], offer: Offer) -> list["Match"]:
    """Matches of columns that have none, with fields that have none."""
    used = {match.seen.place for match in matches}
    fields = {match.field for match in matches}
    free = [seen for seen in columns if seen.place not in used and seen.contents.filled and _is_open(seen)]
    found: list[Match] = []
    for name, seen, sure, why, dated in _guesses(sight, free, fields):
        if name not in fields and all(match.seen.place != seen.place for match in found):
            rivals = tuple(each for each in _days(free) if each is not seen) if name == "event.date" else ()
            found.append(offer(seen, name, _UNSURE if rivals else sure, (why,), dated, rivals=rivals))
            fields.add(name)
    return found


def _is_open(seen: Seen) -> bool:
    """Whether the name of the column leaves it open what it holds: it may be the court's, but no other person's."""
    return not fields_named(seen.header) and not set(words_of(seen.header)) & (set(OTHERS) - {"court"})


def _guesses(sight: Sight, free: Sequence[Seen], fields: set[str]) -> Iterator[tuple[str, Seen, float, str, object]]:
    """Field, column, how sure, why, and how dates are written; the surest kinds first."""
    yield from _when(free, fields)
    free = [seen for seen in free if "court" not in words_of(seen.header)]
    yield from _alike(free, "email", "contact.email", 0.8, "e-mail addresses")
    if sight.header:
        yield from _alike(free, "phone", "contact.phone", 0.7, "phone numbers")
        yield from _alike(free, "case", "case.number", 0.6, "case numbers")
        return
    yield from _phones(free)
    yield from _alike(free, "case", "case.number", 0.75, "case numbers")
    yield from _alike(free, "style", "case.style", 0.75, "styles (A v. B)")
    yield from _alike(free, "role", "case.role", 0.8, "what people are on a case")
    yield from _alike(free, "status", "event.status", 0.7, "states of hearings")
    yield from _alike(free, "language", "client.language", 0.7, "languages")
    yield from _alike(free, "judge", "event.judge", 0.7, "titles of judges")
    yield from _alike(free, "place", "event.location", 0.65, "places")
    yield from _names(free)
    yield from _alike(free, "hearing", "event.type", 0.55, "kinds of hearings")


def _alike(
    free: Sequence[Seen], kind: str, name: str, sure: float, what: str
) -> Iterator[tuple[str, Seen, float, str, object]]:
    """The column of which most cells look like `kind`; of several, the one with more different values."""
    fitting = [seen for seen in free if seen.contents.look(kind) >= _MOST and not seen.contents.dated]
    if fitting:
        best = max(fitting, key=lambda seen: (round(seen.contents.look(kind), 2), seen.contents.distinct))
        percent = int(100 * best.contents.look(kind))
        yield name, best, sure * best.contents.look(kind), f"{percent} % of the filled cells look like {what}", None


def _phones(free: Sequence[Seen]) -> Iterator[tuple[str, Seen, float, str, object]]:
    """Ten digits alone may be any number; a phone number has something between them somewhere."""
    spaced = [seen for seen in free if seen.contents.look("number") < 0.9]
    yield from _alike(spaced, "phone", "contact.phone", 0.8, "phone numbers")


def _when(free: Sequence[Seen], fields: set[str]) -> Iterator[tuple[str, Seen, float, str, object]]:
    """The date beside a time is the hearing's; a date alone may be any."""
    moments = [seen for seen in free if seen.contents.look("datetime") >= _MOST]
    if moments and not {"event.date", "event.datetime"} & fields:
        yield "event.datetime", moments[0], 0.75, "dates with times", moments[0].contents.dated
        return
    times = [seen for seen in free if seen.contents.look("time") >= 0.6 and seen.contents.look("number") < _MOST]
    dates = _days(free)
    if times and dates and not {"event.date", "event.datetime", "event.time"} & fields:
        time = times[0]
        before = [seen for seen in dates if seen.place < time.place] or dates
        nearest = min(before, key=lambda seen: abs(seen.place - time.place))
        yield "event.date", nearest, 0.7, "dates, in the column that is nearest to the times", nearest.contents.dated
        yield "event.time", time, 0.75, f"{int(100 * time.contents.look('time'))} % of the filled cells are times", None
    elif times and {"event.date"} & fields and "event.time" not in fields:
        yield "event.time", times[0], 0.7, "times", None


def _days(free: Sequence[Seen]) -> list[Seen]:
    """The columns of dates, without those that lie years before the others: births, or what was long ago."""
    dated = [seen for seen in free if seen.contents.look("date") >= _MOST]
    years = [_year(seen) for seen in dated]
    return [seen for seen, year in zip(dated, years, strict=True) if year >= max(years) - _AGO]


def _year(seen: Seen) -> int:
    """The year in the middle of those of a column; of day and month either may come first."""
    dated = seen.contents.dated
    read = coerce.read_dates(seen.column.values, (*dated.choices, *dated.formats)) if dated else []
    years = sorted(int(day[:4]) for day in read if day)
    return years[len(years) // 2] if years else 0


def _names(free: Sequence[Seen]) -> Iterator[tuple[str, Seen, float, str, object]]:
    """Two neighbours of single words, one of them first names; or one column of whole names."""
    whole = [seen for seen in free if seen.contents.look("comma") >= _MOST and seen.contents.look("place") < 0.3]
    words = [seen for seen in free if seen.contents.look("word") >= _MOST and seen.contents.distinct > 1]
    for left, right in pairwise(words):
        if right.place != left.place + 1 or max(left.names, right.names) < 0.3:
            continue
        first, last = (left, right) if left.names > right.names else (right, left)
        sure = 0.55 if abs(left.names - right.names) >= 0.3 else 0.4
        yield "client.last_name", last, sure, "single words beside first names: is it the last name?", None
        yield "client.first_name", first, sure, "single words, some of them common first names", None
        return
    if whole:
        yield "client.name", whole[0], 0.55, "LAST, FIRST", None
