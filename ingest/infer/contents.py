"""What the values of a column look like: dates and how they are written, times, phones, case numbers, names.

Day and month are never guessed. A format counts as told if values can only be read by it (their second number is above
12, say) and none can only be read the other way round; where all values fit both ways, it stays undecided.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ingest import coerce
from ingest.parse import Column
from ingest.record import EXCEL

TIMES = ("%I:%M %p", "%H:%M", "%H:%M:%S", "%I:%M:%S %p", "%I:%M%p", "%H%M")
_DATES = (
    *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%m.%d.%Y", "%d.%m.%Y", "%Y-%m-%d", "%Y/%m/%d"),
    *("%m/%d/%y", "%d/%m/%y", "%y/%m/%d", "%m-%d-%y", "%d-%m-%y", "%y-%m-%d", "%Y%m%d", "%m%d%Y", "%d%m%Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d%b%Y"),
)
_CLOSE = ("%m%d%y", "%d%m%y", "%y%m%d")
_COUNTED = ("1919-03-01", "2060-03-01")
_MOST_VALUES = 4000
_MOSTLY = 0.8
_SOME = 0.5
_MOST_FORMATS = 6
_TYPING_ERRORS = 10
"""Dates that speak for a format, for each that speaks against it, at least."""

_CASE_NUMBER = re.compile(
    r"(?=.{7,40}\Z)(?=(?:.*\d){4})(?:[A-Z0-9]{1,6}[-: ])?(?:[A-Z]{0,6}-?\d{1,4}-?[A-Z]{1,6}|[A-Z]{1,6}-?\d{2,4}"
    r"|\d{2,4}[A-Z]{1,3}|\d{1,4}-\d{1,3})[-: ]?[A-Z0-9]*(?:[- ][A-Z0-9]+)*(?: [A-Z][a-z]{1,5})?",
)
_STYLE = re.compile(r"\bvs?\b\.?|\bin re\b|\bmatter of\b|\bestate of\b", re.IGNORECASE)
_PLACE = re.compile(r"\bcourt(?:house|room)?\b|\bcounty\b|\bjustice center\b|\bbuilding\b|\bannex\b", re.IGNORECASE)
_JUDGE = re.compile(r"\b(?:hon|judge|justice|magistrate)\b\.?", re.IGNORECASE)
_WORD_NAME = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:[-'’ ][^\W\d_]+)?\.?")
_COMMA_NAME = re.compile(r"[^\W\d_][^\W\d_'’ .-]*(?:[-'’ ][^\W\d_]+)*, ?[^\W\d_][^\d_]*")
_HEARINGS = re.compile(
    r"arraign|hearing|trial|conference|sentenc|plea|calendar|motion|review|status|bail|pretrial|disposition|infraction"
    r"|violation|appearance|docket|revocation|preliminary|mediation",
    re.IGNORECASE,
)
_ROLES = frozenset(
    {"defendant", "plaintiff", "witness", "victim", "attorney", "petitioner", "respondent", "juror", "appellant"}
)
_STATUSES = frozenset(
    {"scheduled", "continued", "cancelled", "canceled", "vacated", "rescheduled", "held", "reset", "postponed", "set"}
)
_LANGUAGES = frozenset(
    {"english", "spanish", "vietnamese", "korean", "french", "russian", "arabic", "chinese", "en", "es", "somali"}
)


@dataclass(frozen=True)
class Dated:
    """How the dates of a column are written: `formats`, or if day and month may be either, the `choices`.

    `only` tells for each choice the share of the filled cells that it alone reads; `formats` beside them read others.
    `share` is that of the filled cells that are dates so; `proof` tells how many values can be read in no other way.
    `timed` means that a time stands behind, in one of `times`; one that is midnight in all of them says nothing, and
    the formats of the dates have a place for it.
    """

    formats: tuple[str, ...]
    share: float
    proof: int = 0
    choices: tuple[str, ...] = ()
    timed: bool = False
    times: tuple[str, ...] = ()
    only: tuple[float, ...] = ()


@dataclass(frozen=True)
class Contents:
    """The values of one column: of `rows` cells `filled` hold something, `distinct` different texts.

    `looks` gives the share of filled cells that look like each of some kinds: phone, email, time, money, number, case,
    style, place, judge, hearing, role, status, language, word (one capitalised word), comma (`LAST, FIRST`), words.
    """

    rows: int
    filled: int
    distinct: int
    looks: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    dated: Dated | None = None
    times: tuple[str, ...] = ()

    @property
    def full(self) -> float:
        """The share of cells that hold something."""
        return self.filled / self.rows if self.rows else 0.0

    def look(self, kind: str) -> float:
        """The share of filled cells that look like `kind`; dates too."""
        if kind == "date":
            return self.dated.share if self.dated and not self.dated.timed else 0.0
        if kind == "datetime":
            return self.dated.share if self.dated and self.dated.timed else 0.0
        return self.looks.get(kind, 0.0)


def look_at(column: Column, region: str = "US") -> Contents:
    """What the values of `column` look like."""
    column = column.map(coerce.tidy)
    rows, filled = len(column.codes), int(column.filled.sum())
    weights: dict[str, int] = {}
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values)).tolist()
    for text, count in zip(column.values, counts, strict=True):
        weights[text] = weights.get(text, 0) + count
    chosen = _some(list(weights))
    if not chosen:
        return Contents(rows, filled, 0)
    total = sum(weights[text] for text in chosen)

    def share(good: Sequence[object]) -> float:
        return sum(weights[text] for text, each in zip(chosen, good, strict=True) if each) / total

    looks = {kind: share([test(text) for text in chosen]) for kind, test in _TESTS.items()}
    looks["phone"] = share(coerce.read_phones(chosen, region))
    looks["email"] = share(coerce.read_emails(chosen))
    looks["money"] = share(coerce.read_money(chosen))
    looks["yes_no"] = share(coerce.read_yes_no(chosen))
    times = _times(chosen)
    looks["time"] = share(coerce.read_times(chosen, times)) if times else 0.0
    dated = _dated(chosen, share)
    return Contents(rows, filled, len(weights), MappingProxyType(looks), dated, times)


def _some(texts: list[str]) -> list[str]:
    """At most so many of them, from everywhere."""
    return texts if len(texts) <= _MOST_VALUES else texts[:: -(-len(texts) // _MOST_VALUES)]


_TESTS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "number": lambda text: text.isascii() and text.isdigit(),
        "case": lambda text: _CASE_NUMBER.fullmatch(text) is not None,
        "style": lambda text: " " in text and _STYLE.search(text) is not None,
        "place": lambda text: _PLACE.search(text) is not None,
        "judge": lambda text: _JUDGE.search(text) is not None,
        "hearing": lambda text: _HEARINGS.search(text) is not None,
        "role": lambda text: text.casefold() in _ROLES,
        "status": lambda text: text.casefold() in _STATUSES,
        "language": lambda text: text.casefold() in _LANGUAGES,
        "word": lambda text: _WORD_NAME.fullmatch(text) is not None and text[0].isupper() and len(text) > 1,
        "comma": lambda text: _COMMA_NAME.fullmatch(text) is not None,
        "words": lambda text: text.count(" ") in (1, 2, 3) and all(c.isalpha() or c in " .'’-,\"" for c in text),
        "digit": lambda text: any(character.isdigit() for character in text),
        "code": lambda text: " " not in text and len(text) <= 8,
    }
)


def _times(texts: list[str]) -> tuple[str, ...]:
    """The formats by which most of the texts are times, those that are needed."""
    read = {form: coerce.read_times(texts, (form,)) for form in TIMES}
    return _needed(read, len(texts))


def _needed(read: Mapping[str, Sequence[str | None]], count: int) -> tuple[str, ...]:
    """Of formats and what each of them reads, as many as are needed, the one that reads most first."""
    left, chosen = set(range(count)), list[str]()
    while left and len(chosen) < _MOST_FORMATS:
        best = max(read, key=lambda form: sum(read[form][i] is not None for i in left))
        now = {i for i in left if read[best][i] is not None}
        if not now or (chosen and len(now) < max(1, count // 200)):
            break
        chosen.append(best)
        left -= now
    return tuple(chosen) if count - len(left) >= count * _SOME else ()


def _dated(texts: list[str], share: Callable[[Sequence[object]], float]) -> Dated | None:
    """How the texts are written if they are dates, or dates with times."""
    if sum(any(c.isdigit() for c in text) and len(text) >= 6 for text in texts) < _SOME * len(texts):
        return None
    alone = {form: coerce.read_dates(texts, (form,)) for form in _DATES}
    found = _decide(alone, texts, share)
    if found is not None:
        return found
    behind = {form: coerce.read_moments(texts, (form,), TIMES) for form in _DATES}
    timed = {form: [d if t else None for d, t in zip(*behind[form], strict=True)] for form in _DATES}
    found = _decide(timed, texts, share)
    if found is None:
        return None
    form = (*found.choices, *found.formats)[0]
    hours = {time: coerce.read_moments(texts, (form,), (time,))[1] for time in TIMES}
    times = _needed(hours, len(texts)) or TIMES[:3]
    if {hour for each in behind.values() for hour in each[1] if hour} == {"00:00"}:
        return _at_midnight(found, texts, times[0])
    return replace(found, timed=True, times=times)


def _at_midnight(found: Dated, texts: Sequence[str], time: str) -> Dated:
    """Dates behind which systems write midnight, as the dates they are."""
    gap = "T" if all(" " not in text for text in texts) else " "
    formats, choices = ([f"{form}{gap}{time}" for form in forms] for forms in (found.formats, found.choices))
    return replace(found, formats=tuple(formats), choices=tuple(choices))


def _decide(
    read: Mapping[str, Sequence[str | None]], texts: list[str], share: Callable[[Sequence[object]], float]
) -> Dated | None:
    """The formats that read most; where others may read the same texts as other days, each is told by texts that none
    of these can read, or undecided with them."""
    chosen = _needed(read, len(texts))
    if not chosen:
        return None
    rivals = {form: [other for other in read if other != form and _rival(form, other, read)] for form in chosen}
    told = {form: all(_is_told(form, other, read) for other in rivals[form]) for form in chosen}
    proofs = [_alone(form, other, read) for form in chosen for other in rivals[form]]
    undecided = next(((form, *rivals[form]) for form in chosen if not told[form]), ())
    forms = tuple(form for form in chosen if told[form] and form not in undecided)
    together = [next((read[f][i] for f in (*undecided, *forms) if read[f][i]), None) for i in range(len(texts))]
    if not undecided:
        return Dated(forms, share(together), min(proofs, default=len(texts)))
    readers = [[form for form in undecided if read[form][i]] for i in range(len(texts))]
    only = tuple(share([forms == [form] for forms in readers]) for form in undecided)
    return Dated(forms, share(together), choices=undecided, only=only)


def _is_told(form: str, other: str, read: Mapping[str, Sequence[str | None]]) -> bool:
    """Whether texts prove `form` against `other`, and few enough for typing errors the other way round."""
    proof, contrary = _alone(form, other, read), _alone(other, form, read)
    return proof > 0 and _TYPING_ERRORS * contrary <= proof


def _alone(form: str, other: str, read: Mapping[str, Sequence[str | None]]) -> int:
    """How many texts `form` can read, and `other` cannot."""
    return sum(mine is not None and its is None for mine, its in zip(read[form], read[other], strict=True))


def _rival(form: str, other: str, read: Mapping[str, Sequence[str | None]]) -> bool:
    """Whether there is a text that either format can read, as another day or by chance as the same one; or texts that
    only the one with day and month the other way round can read."""
    if form.replace("%m", "%_").replace("%d", "%m").replace("%_", "%d") == other and any(read[other]):
        return True
    return any(a is not None and b is not None for a, b in zip(read[form], read[other], strict=True))


def digits_dated(column: Column) -> Dated | None:
    """How the texts are dates without any sign: day, month and year in two digits each, or numbers as spreadsheets keep
    the days from 1920 to 2060. Since any number may be one, it counts only where a column is called a date."""
    texts = _some([text for text in column.map(coerce.tidy).values if text])
    if sum(text.partition(".")[0].isdigit() for text in texts) < max(1, _MOSTLY * len(texts)):
        return None
    read = {form: coerce.read_dates(texts, (form,)) for form in _CLOSE}
    first, last = _COUNTED
    days = coerce.read_moments(texts, (EXCEL,), ())[0]
    read[EXCEL] = [day if day is not None and first <= day <= last else None for day in days]
    return _decide(read, texts, lambda good: sum(map(bool, good)) / len(texts))


def first_names(column: Column) -> float:
    """The share of distinct values of which the first word is a common first name."""
    texts = [text.casefold().split(" ")[0].strip(",.") for text in column.values]
    return sum(text in FIRST_NAMES for text in texts) / len(texts) if texts else 0.0


_COMMON = """
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan
jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory frank alexander
raymond patrick jack dennis jerry tyler aaron jose adam nathan henry douglas zachary peter kyle walter ethan
jeremy harold keith christian roger noah gerald carl terry sean austin arthur lawrence jesse dylan bryan joe
jordan billy bruce albert willie gabriel logan alan juan wayne roy ralph randy eugene vincent russell louis
philip bobby johnny bradley mary patricia jennifer linda elizabeth barbara susan jessica sarah karen nancy
lisa betty margaret sandra ashley kimberly emily donna michelle dorothy carol amanda melissa deborah
stephanie rebecca sharon laura cynthia kathleen amy angela shirley anna brenda pamela emma nicole helen
samantha katherine christine debra rachel carolyn janet catherine maria heather diane ruth julie olivia
joyce virginia victoria kelly lauren christina joan evelyn judith megan andrea cheryl hannah jacqueline
martha gloria teresa ann sara madison frances kathryn janice jean abigail alice julia judy sophia grace
denise amber doris marilyn danielle beverly isabella theresa diana natalie brittany charlotte marie kayla
alexis lori luis carlos jesus miguel angel manuel pedro jorge francisco antonio ricardo eduardo fernando ana
rosa carmen guadalupe robin pat kit avery blake casey devon emery finley greer harper jamie kendall morgan
noel oakley parker quinn riley sage taylor alex sam chris lee jane susie eldon lon carrie dana lynn jo kim
tracy leslie shannon
"""

FIRST_NAMES = frozenset(_COMMON.split())
"""First names that are common in the United States (the Social Security Administration's lists, and some more)."""
