"""Which column becomes which field: by name first, then by content, each field once, with how sure that is and why."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ingest.infer.clock import Clock, tell_clock
from ingest.infer.contents import FIRST_NAMES, Contents, Dated
from ingest.infer.guesses import guess_by_content
from ingest.infer.names import OWN, Named, fields_named, other_person, words_of
from ingest.infer.pieces import tell_pieces
from ingest.infer.sight import Seen, Sight
from ingest.record import DATE_FIELDS, EXCEL

DATES = (*DATE_FIELDS, "event.date")
_LOW, _UNSHOWN = 0.5, 0.75
_NEEDED = 0.5
_NEARLY_ALL = 0.9
_FITTING = 0.5


@dataclass(frozen=True)
class Match:
    """A column that becomes a field. `sure` is from 0 to 1, `why` the reasons; `dated` how its dates are written;
    `rivals` other columns that may be the field just as well; `piece` the sign that parts its cells, and which part;
    `beside` the column that is put behind it."""

    seen: Seen
    field: str
    sure: float
    why: tuple[str, ...]
    dated: Dated | None = None
    order: str = ""
    rivals: tuple[Seen, ...] = ()
    piece: tuple[str, int] = ("", 0)
    beside: Seen | None = None

    @property
    def confidence(self) -> str:
        """In a word."""
        return "high" if self.sure >= 0.85 else "medium" if self.sure >= 0.6 else "low"


@dataclass(frozen=True)
class Proposal:
    """What is proposed for a sample: `matches` in the order of the file, `parties` by the word for them, the columns
    that nothing is made of, and how the times of hearings are written."""

    sight: Sight
    matches: tuple[Match, ...]
    parties: dict[str, tuple[Match, ...]] = field(default_factory=dict)
    left: tuple[Seen, ...] = ()
    clock: Clock | None = None

    def of(self, name: str) -> Match | None:
        """The match of a field, if there is one."""
        return next((match for match in self.matches if match.field == name), None)


def propose(sight: Sight) -> Proposal:
    """Match the columns of a sample with fields."""
    parties = _parties(sight.columns)
    taken = {match.seen.place for matches in parties.values() for match in matches}
    rest = [seen for seen in sight.columns if seen.place not in taken]
    matches = _by_name(rest)
    matches = _with_pieces(matches, rest)
    matches += guess_by_content(sight, rest, matches, Match)
    matches = _with_more_contacts(matches, rest)
    if any(match.field == "event.time" for match in matches):
        matches = [replace(m, sure=min(m.sure, _LOW)) if m.field == _MOMENT else m for m in matches]
    matches = [_beside_another(match, sight.columns) for match in matches]
    matches = _without_senseless(matches)
    clock = _clock(matches, sight.columns)
    matches = [_by_the_clock(match, clock) for match in matches]
    matches.sort(key=lambda match: match.seen.place)
    taken |= {match.beside.place for match in matches if match.beside}
    used = taken | {match.seen.place for match in matches}
    left = tuple(seen for seen in sight.columns if seen.place not in used)
    parties = parties if any(m.field == "case.number" for m in matches) else {}
    return Proposal(sight, tuple(matches), parties, left, clock)


def _clock(matches: Iterable[Match], columns: Sequence[Seen]) -> Clock | None:
    """How times are written where they stand behind dates, or else in the column of their own."""
    found = {match.field: match.seen for match in matches if match.field == "event.time" or match.dated}
    seen = found.get(_MOMENT) or found.get("event.time")
    return tell_clock(seen, columns) if seen is not None else None


def _by_the_clock(match: Match, clock: Clock | None) -> Match:
    """A time that does not tell the morning from the afternoon is not sure; another column may tell it."""
    if clock is None or match.seen is not clock.seen:
        return match
    if clock.beside is not None:
        return replace(match, beside=clock.beside, why=(*match.why, "AM and PM stand in a column of their own"))
    if clock.choices:
        return replace(match, sure=min(match.sure, _LOW), why=(*match.why, "but is 1:30 the afternoon, or the night?"))
    if not clock.shown:
        why = "but no hour in it tells whether 24 are counted"
        return replace(match, sure=min(match.sure, _UNSHOWN), why=(*match.why, why))
    return match


def _by_name(columns: Iterable[Seen]) -> list[Match]:
    """Each column gets the field that its name and its cells speak for most, and each field one column."""
    offers = []
    for seen in columns:
        for named in _held(fields_named(seen.header), seen) if seen.header else ():
            sure, why, dated = _weigh(named, seen)
            if sure >= _NEEDED:
                offers.append(Match(seen, named.field, sure, why, dated, _order(named.field, seen)))
    offers.sort(key=lambda match: (-match.sure, match.seen.place))
    chosen: dict[int, Match] = {}
    fields: set[str] = set()
    for offer in offers:
        if offer.seen.place not in chosen and _slot(offer) not in fields:
            chosen[offer.seen.place] = offer
            fields.add(_slot(offer))
    return [_with_rivals(match, offers, chosen) for match in chosen.values()]


def _held(named: Iterable[Named], seen: Seen) -> list[Named]:
    """What a column's name speaks of, with its cells seen: the date of a hearing that has a time is both in one."""
    dated = seen.contents.dated
    if dated is None or not dated.timed:
        return list(named)
    return [replace(each, field=_MOMENT) if each.field == "event.date" else each for each in named]


def _with_rivals(match: Match, offers: Iterable[Match], chosen: Collection[int]) -> Match:
    """A field that another column may be too, of which nothing else is made, is never sure."""
    rivals = [
        offer.seen
        for offer in offers
        if _slot(offer) == _slot(match) and offer.seen.place not in chosen and _is_rival(offer, match)
    ]
    return replace(match, rivals=tuple(rivals), sure=min(match.sure, _LOW)) if rivals else match


def _slot(match: Match) -> str:
    """The field; a hearing has one date, with a time or without."""
    return "event.date" if match.field == _MOMENT else match.field


def _is_rival(offer: Match, match: Match) -> bool:
    """Of a hearing's date and the like any other column is; else one that is named as well. Phones may be several."""
    if match.field in _SEVERAL:
        return offer.seen.header == match.seen.header
    return match.field in _ONE or offer.sure >= match.sure - _NEAR


def _weigh(named: Named, seen: Seen) -> tuple[float, tuple[str, ...], Dated | None]:
    """How sure it is that the column holds the field that its name speaks of, after a look at its cells."""
    why = f'the name says "{named.synonym}"' if named.exact else f'the name is like "{named.synonym}"'
    contents = seen.contents
    if not contents.filled:
        return named.score * 0.7, (why, "every cell is empty"), None
    field, dated = named.field, contents.dated
    if field.startswith("case.") and (weighed := _weigh_style(named, contents)) is not None:
        return (*weighed, None)
    if field in DATES:
        return _weigh_date(named.score, why, seen)
    if field == "event.datetime":
        share = contents.look("datetime")
        return (
            (named.score * (0.4 + 0.6 * share), (why, told(share, "a date and a time")), dated) if share else _NOTHING
        )
    kind = _KINDS.get(field)
    if kind:
        share = contents.look(kind[0])
        sure = named.score * (0.5 + 0.5 * share)
        return sure, (why, told(share, kind[1])), None
    if dated is not None and dated.share >= _FITTING:
        return _NOTHING
    if field == "case.number" and contents.look("digit") < _FITTING:
        return named.score * 0.6, (why, "but most of its cells have no digit"), None
    if field in _TEXTS and contents.look("number") > 0.9:
        return named.score * 0.6, (why, "but its cells are numbers"), None
    return named.score, (why,), None


_NOTHING: tuple[float, tuple[str, ...], None] = (0.0, (), None)
_MOMENT = "event.datetime"
_SEVERAL = ("contact.phone", "contact.email")
_ONE = frozenset(
    {
        *("client.reference", "client.first_name", "client.last_name", "client.name", "client.dob"),
        *("case.number", "event.date", "event.datetime", "event.time"),
    }
)
"""Fields that a wrong column makes a missed hearing of, or another person."""
_NEAR = 0.1
_KINDS = {
    "event.time": ("time", "a time"),
    "contact.phone": ("phone", "a phone number"),
    "contact.email": ("email", "an e-mail address"),
    "contact.phone_opt_in": ("yes_no", "yes or no"),
    "payment.amount": ("money", "an amount"),
}
_TEXTS = frozenset(
    {
        *("client.first_name", "client.last_name", "client.middle_name", "client.name", "client.language"),
        *("case.style", "case.role", "event.judge", "event.status", "event.type"),
    }
)


def _weigh_style(named: Named, contents: Contents) -> tuple[float, tuple[str, ...]] | None:
    """What is called a case may be its number or its style, "State v. Alder"."""
    share = contents.look("style")
    if named.field == "case.number" and share >= _FITTING:
        return 0.0, ()
    if named.field == "case.style" and named.synonym == "case":
        return (named.score, (told(share, "styles (A v. B)"),)) if share >= _FITTING else (0.0, ())
    return None


def _weigh_date(score: float, why: str, seen: Seen) -> tuple[float, tuple[str, ...], Dated | None]:
    dated = seen.contents.dated
    if dated is not None and not dated.timed:
        return score * (0.5 + 0.5 * dated.share), (why, told(dated.share, "a date")), dated
    digits = seen.digits
    if digits is not None and digits.share >= _NEARLY_ALL:
        what = "a spreadsheet's number of a day" if digits.formats == (EXCEL,) else "a date in digits alone"
        return score * 0.9, (why, told(digits.share, what)), digits
    return _NOTHING


def told(share: float, what: str) -> str:
    """How many of the cells are `what`, in a few words."""
    return f"{percent(share)} % of the filled cells are {what}"


def percent(share: float) -> int:
    """In percent; 100 only if it is all of them."""
    return min(int(share * 100 + 0.5), 100 if share == 1 else 99)


def _order(field: str, seen: Seen) -> str:
    """Whether a whole name without a comma has the first or the last name in front, by the first names people have."""
    if field != "client.name" or not seen.contents.filled:
        return ""
    texts = [text for text in seen.column.values if "," not in text and " " in text]
    if not texts:
        return ""
    front = sum(_is_first(text.split()[0]) for text in texts)
    behind = sum(_is_first(text.split()[1]) for text in texts)
    return "first last" if front > behind else "last first" if behind > front else "unsure"


def _is_first(word: str) -> bool:
    return word.casefold().strip(".,") in FIRST_NAMES


def _with_pieces(matches: list[Match], columns: Sequence[Seen]) -> list[Match]:
    """A column of which cells hold several phone numbers or addresses is several contacts."""
    for name in _SEVERAL:
        fitting = [s for s in columns if s.header and any(n.field == name for n in fields_named(s.header))]
        mine = next((match.seen for match in matches if match.field == name), None)
        for seen in fitting[:1] if mine is None else [mine]:
            sign, count = tell_pieces(seen.column, name.removeprefix("contact."))
            if count > 1:
                why = (f'cells hold several, with "{sign}" between: look at a few',)
                fields = [name if take == 1 else f"{name}_{take}" for take in range(1, count + 1)]
                matches = [match for match in matches if match.seen.place != seen.place]
                matches += [Match(seen, f, _LOW, why, piece=(sign, take)) for take, f in enumerate(fields, 1)]
    return matches


def _with_more_contacts(matches: list[Match], columns: Sequence[Seen]) -> list[Match]:
    """Further columns of phone numbers and addresses are second contacts."""
    used = {match.seen.place for match in matches}
    for kind in ("phone", "email"):
        taken = [m for m in matches if m.field.startswith(f"contact.{kind}_") and m.piece[1]]
        number = 2 + len(taken)
        for seen in columns:
            named = next((n for n in fields_named(seen.header) if n.field == f"contact.{kind}"), None)
            if seen.place in used or named is None or other_person(seen.header):
                continue
            sure, why, _ = _weigh(named, seen)
            if sure >= _NEEDED and any(match.field == f"contact.{kind}" for match in matches) and number <= 9:
                sure = sure if seen.single else min(sure, _LOW)
                matches.append(Match(seen, f"contact.{kind}_{number}", sure, why))
                used.add(seen.place)
                number += 1
    return matches


def _beside_another(match: Match, columns: Sequence[Seen]) -> Match:
    """A phone number whose name says no more, right behind another person, may be that person's."""
    before = columns[match.seen.place - 1].header if match.seen.place else ""
    who = other_person(before)
    contact = match.field.rstrip("_0123456789") in _SEVERAL
    if not contact or who in ("", "court", "courthouse") or set(words_of(match.seen.header)) & OWN:
        return match
    why = (*match.why, f"but it stands behind the name of another person ({who}): whose is it?")
    return replace(match, sure=min(match.sure, _LOW), why=why)


def _without_senseless(matches: list[Match]) -> list[Match]:
    """Without what a template would be refused for: a contact of nobody, a time without a date, a type of no phone."""
    fields = {match.field for match in matches}
    person = any(name.startswith("client.") for name in fields)
    gone = set()
    if not person:
        gone |= {name for name in fields if name.startswith("contact.")}
    if not {"event.date", "event.datetime"} & fields:
        gone |= {name for name in fields if name.startswith("event.")}
    if "contact.phone" not in fields:
        gone |= {"contact.phone_type", "contact.phone_opt_in"}
    if "client.name" in fields and {"client.first_name", "client.last_name"} <= fields:
        gone.add("client.name")
    if "payment.amount" not in fields:
        gone |= {name for name in fields if name.startswith("payment.")}
    return [match for match in matches if match.field not in gone]


_PARTIES = ("attorney", "bond agent", "bondsman", "guardian", "surety")
_PARTY_FIELDS = {
    **dict.fromkeys(("", "name", "full name"), "client.name"),
    **dict.fromkeys(("id", "number", "code", "bar number", "reference"), "client.reference"),
    **dict.fromkeys(("email", "email address"), "contact.email"),
    **dict.fromkeys(("phone", "phone number", "cell phone", "cell"), "contact.phone"),
    "first name": "client.first_name",
    "last name": "client.last_name",
    "suffix": "client.suffix",
}


def _parties(columns: Sequence[Seen]) -> dict[str, tuple[Match, ...]]:
    """Further people of a row, of whom there is more than a name: an id, a phone number or an e-mail address."""
    found: dict[str, dict[str, Match]] = {}
    for seen in columns:
        who = other_person(seen.header)
        if who in _PARTIES:
            name = _party_field(seen, who)
            if name and name not in found.setdefault(who, {}):
                found[who][name] = Match(seen, name, 0.8, (f"the name speaks of another person: {who}",))
    kept = {}
    for who, fields in found.items():
        named = {"client.reference", "client.name", "client.last_name"} & set(fields)
        if named and len(fields) > 1:
            kept[who] = tuple(sorted(fields.values(), key=lambda match: match.seen.place))
    return kept


def _party_field(seen: Seen, who: str) -> str:
    """What the column says of the other person; "" if nothing that is known."""
    words = [word for word in words_of(seen.header) if word not in who.split()]
    return _PARTY_FIELDS.get(" ".join(words), "")


def unsure_contents(contents: Contents) -> str:
    """A word on a column that nothing is made of: no value of it."""
    if not contents.filled:
        return "every cell is empty"
    values = "1 value" if contents.distinct == 1 else f"{contents.distinct:,} different values"
    return f"{max(1, percent(contents.full))} % filled, {values}"
