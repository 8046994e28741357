"""The proposal as the text of a template: ready to be saved, with a comment behind each line.

No value of a cell stands in it, only names of columns and how many cells are what.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ingest import coerce
from ingest.infer.clock import Clock
from ingest.infer.contents import TIMES, Dated
from ingest.infer.proposal import Match, Proposal, percent, unsure_contents
from ingest.infer.sight import Seen, Sight
from ingest.record import EXCEL
from ingest.template import UNDECIDED

_NAMED = {",": "comma", "|": "pipe", "\t": "tab", ";": "semicolon", "^": "caret"}
_LISTED = 60
_NEARLY_ALL = 0.9
_YEARS = 3
"""Hearings that are farther from today are looked at, where numbers may be dates of several kinds."""
_PROOFS = 2
"""Dates that can be read in no other way, for a column to speak for others."""
_HEARD = ("event.date", "event.datetime")
_NO_PHONE = frozenset({"UNKNOWN", "UNK", "NONE", "N/A", "NA", "NO PHONE", "REFUSED", "NOT PROVIDED"})
"""What clerks write where there is no phone."""
_ORDER = ("client", "contact", "case", "event", "payment")


@dataclass(frozen=True)
class Draft:
    """The text of a proposed template, and what is left to be decided before it can be used, a sentence for each; and
    what one may not expect of it."""

    text: str
    undecided: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def write_draft(proposal: Proposal, name: str, file: str, year: int) -> Draft:
    """The template `name` for a sample that came as `file`; `year` is this year, by which births are told."""
    proposal = _settled(proposal)
    undecided, warnings = tuple(_undecided(proposal)), tuple(_warnings(proposal, year))
    sight = proposal.sight
    lines = [
        f"# Proposed from {_plain(file)}: {_counted(sight.rows, 'row')}, {_counted(len(sight.columns), 'column')}.",
        "# How sure each line is, and why, stands behind it. Look at them all; then try it:",
        "#     dropslot template check THIS_FILE SAMPLE",
    ]
    lines += [f"# TODO: {sentence}" for sentence in undecided]
    lines += [f"# LOOK: {sentence}" for sentence in warnings]
    lines += [f"name = {_quoted(name)}"]
    required = [each for each in ("case.number", "event.date") if _has(proposal, each)]
    if required:
        lines.append(f"required = [{', '.join(map(_quoted, required))}]   # a row without one of these is not taken")
    lines += ["", *_file(sight), *_formats(proposal), *_columns(proposal, year), *_parties(proposal), *_match(proposal)]
    lines += _left(proposal)
    return Draft("\n".join(lines) + "\n", undecided, warnings)


def _has(proposal: Proposal, name: str) -> bool:
    return proposal.of(name) is not None or (name == "event.date" and proposal.of("event.datetime") is not None)


def _settled(proposal: Proposal) -> Proposal:
    """Where day and month of a column may be either, another column that is written alike and is certain decides.

    Not for the dates of hearings: one birth that is mistyped would move them all.
    """
    certain = {
        form
        for match in proposal.matches
        if match.dated and match.dated.proof >= _PROOFS and match.field != "client.dob"
        for form in match.dated.formats
    }
    matches = []
    for match in proposal.matches:
        choices = match.dated.choices if match.dated else ()
        agreed = [form for form in choices if form in certain]
        if match.dated and len(agreed) == 1 and match.field not in _HEARD:
            why = (*match.why, "day and month as in another column, where they are certain")
            match = replace(
                match,
                dated=replace(match.dated, formats=(agreed[0], *match.dated.formats), choices=()),
                why=why,
                sure=min(match.sure, 0.75),
            )
        matches.append(match)
    return replace(proposal, matches=tuple(matches))


def _undecided(proposal: Proposal) -> Iterator[str]:
    open_ones = [(match, match.dated) for match in proposal.matches if match.dated and match.dated.choices]
    for choices, only in dict.fromkeys((dated.choices, dated.only) for _, dated in open_ones):
        found = [m for m, dated in open_ones if (dated.choices, dated.only) == (choices, only)]
        names = ", ".join(_called(match.seen) for match in found)
        spoken = "".join(_spoken_for(proposal, match, choices) for match in found)
        if any(only):
            filled = sum(match.seen.contents.filled for match in found)
            counts = ", ".join(
                f"{round(each * filled):,} only as {_worded(form)}" for each, form in zip(only, choices, strict=True)
            )
            yield f"of the dates of {names} one can read {counts}. Ask the court, and write the right one.{spoken}"
        else:
            forms = " or as ".join(map(_worded, choices))
            yield f"all dates of {names} can be read as {forms}. Ask the court, and write the right one.{spoken}"
    if proposal.clock and proposal.clock.choices:
        yield _either_half(proposal.clock)
    if not any(proposal.of(name) for name in ("case.number", "client.reference")):
        yield "nothing here tells one record from another. Map client.reference, or case.number, or both."


def _worded(form: str) -> str:
    return f"{form} (a spreadsheet's numbers of days)" if form == EXCEL else form


def _either_half(clock: Clock) -> str:
    """Why nobody may know yet what 1:30 is, and what is to be done about it."""
    plain, twelve = ([form for form in clock.choices if ("%p" in form) == half] for half in (False, True))
    like = f" See whether {_called(clock.like)} says it, and whether it can say AM and PM." if clock.like else ""
    return (
        f"{_bare(clock)}, and none is 13:00 or later: they may be of the afternoon, or of the night. Ask the court. "
        f"If it counts 24 hours, write {' and '.join(plain)}; if not, its files must say AM or PM, and then write "
        f"{' and '.join(twelve)}.{like}"
    )


def _bare(clock: Clock) -> str:
    say = "says" if clock.night == 1 else "say"
    return f"{_counted(clock.night, 'time')} of {_called(clock.seen)} from 1:00 to 6:59 {say} neither AM nor PM"


def _spoken_for(proposal: Proposal, match: Match, choices: Sequence[str]) -> str:
    """What the dates of other columns say, which need not hold for those of hearings."""
    others = [
        f" Note that {_called(other.seen)} speaks for {form}, by {_counted(other.dated.proof, 'date')}."
        for other in proposal.matches
        if other.dated and other.dated.proof and other.field != match.field
        for form in other.dated.formats
        if form in choices
    ]
    return "".join(others)


def _warnings(proposal: Proposal, year: int) -> Iterator[str]:
    if not _has(proposal, "event.date") and not any(m.field.startswith("payment.") for m in proposal.matches):
        yield f"No dates of hearings were found, so files will make no hearing. {_looking_dated(proposal)}"
    if proposal.of("event.datetime") and (time := proposal.of("event.time")):
        yield f"Times stand in {_called(time.seen)} too, and count where event.datetime has none. See which is right."
    yield from filter(None, (_far(match, year) for match in proposal.matches if match.field in _HEARD))
    if (clock := proposal.clock) and clock.night and not clock.choices:
        yield f"{_bare(clock)}, and others are 13:00 or later: it would be night. Ask the court."
    for match in proposal.matches:
        if match.rivals:
            others = _listed([_called(seen) for seen in match.rivals])
            yield f"{match.field} is taken from {_called(match.seen)}, but {others} may be it too. See which is right."


def _far(match: Match, year: int) -> str:
    """Hearings that a spreadsheet's numbers put years away: they may be dates of another kind."""
    if match.dated is None or match.dated.formats != (EXCEL,) or match.dated.choices:
        return ""
    read = match.seen.column.map(coerce.tidy).map(lambda texts: coerce.read_moments(texts, (EXCEL,), ())[0]).texts()
    far = sum(day is not None and abs(int(day[:4]) - year) > _YEARS for day in read)
    called = f"{_counted(far, 'date')} of {_called(match.seen)}"
    why = f"more than {_YEARS} years from now, read as a spreadsheet's numbers of days"
    return f"{called} would be {why}. See whether they are written in another way." if far else ""


def _looking_dated(proposal: Proposal) -> str:
    """The columns left that look like dates, and what to do with one."""
    found = [
        seen for seen in proposal.left if seen.contents.dated or (seen.digits and seen.digits.share >= _NEARLY_ALL)
    ]
    if not found:
        return "If a column has them, map event.date."
    timed = all(seen.contents.dated and seen.contents.dated.timed for seen in found)
    field = "event.datetime" if timed else "event.date"
    return f"Dates stand in {_listed([_called(seen) for seen in found], 'and')}: if those of hearings do, map {field}."


def _file(sight: Sight) -> list[str]:
    form = sight.form
    lines = ["[file]", f"header = {'true' if sight.header else 'false'}"]
    if not sight.header:
        lines[-1] += "            # the first row holds data: columns are told by their position"
    elif sight.title:
        lines[-1] += f"             # {sight.title} rows stand above it"
    if form.header_rows > 1:
        lines.append(f"header_rows = {form.header_rows}           # names stand under names")
    if form.widths:
        lines.append(f"widths = {list(form.widths)}   # told from where all rows are blank: count them in a few rows")
    if form.delimiter:
        shown = "tab" if form.delimiter == "\t" else form.delimiter
        lines.append(f"delimiter = {_quoted(shown)}           # {_NAMED.get(form.delimiter, 'in every row')}")
    if sight.told.get("encoding"):
        lines.append(f'encoding = "auto"         # this sample: {sight.told["encoding"]}')
    if form.trailer:
        lines.append(f"trailer = '{form.trailer}'   # the last line counts the rows")
    if form.quoting is False:
        lines.append("quoting = false           # quotes stand inside cells: they are data")
    if form.sheet:
        others = len(sight.sheets) - 1
        lines.append(f"sheet = {_quoted(str(form.sheet))}   # the one of {others + 1} that looks most like a list")
    return [*lines, ""]


def _formats(proposal: Proposal) -> list[str]:
    main = _main(proposal)
    clock, lines = proposal.clock, ["[formats]"]
    if main is not None:
        lines.append(_date_line(main))
    if clock and clock.choices:
        lines.append(f"time = {_open(clock.choices, clock.times)}   # nothing tells the night from the afternoon")
    elif clock and clock.times:
        lines.append(f"time = {_several(clock.times)}   # as in the sample")
    elif proposal.of("event.time"):
        lines.append(f"time = {_several(TIMES[:3])}   # a guess: the sample has no time")
    return [*lines, ""] if len(lines) > 1 else []


def _written(dated: Dated) -> str:
    """The formats as TOML; where some are undecided, one that no template is taken with."""
    if not dated.choices:
        return _several(dated.formats)
    return _open(dated.choices, dated.formats)


def _open(choices: Sequence[str], others: Sequence[str]) -> str:
    return _several((f"{UNDECIDED}: {' or '.join(choices)}", *others))


def _date_line(dated: Dated) -> str:
    if dated.choices:
        what = "neither reads them all" if any(dated.only) else "either reads them all"
        return f"date = {_written(dated)}   # {what}"
    if dated.formats == (EXCEL,):
        return f"date = {_written(dated)}   # a spreadsheet's numbers of days"
    dates = "1 of its dates" if dated.proof == 1 else f"{dated.proof:,} of its dates"
    share = f"{percent(dated.share)} % of the sample's"
    return f"date = {_written(dated)}   # reads {share}; {dates} can be read in no other way"


def _main(proposal: Proposal) -> Dated | None:
    """How most dates are written: the hearing's, or else the first that there are."""
    dated = [m for m in proposal.matches if m.dated and (m.dated.formats or m.dated.choices)]
    dated.sort(key=lambda m: m.field not in ("event.date", "event.datetime"))
    return dated[0].dated if dated else None


def _columns(proposal: Proposal, year: int) -> list[str]:
    main = _main(proposal)
    rows = []
    for match in sorted(proposal.matches, key=lambda m: (_ORDER.index(m.field.partition(".")[0]), m.seen.place)):
        rows.append((f"{match.field} = {_source(match, main, year)}", f"{match.confidence}: {'; '.join(_why(match))}"))
    width = max((len(left) for left, _ in rows), default=0)
    return ["[columns]", *(f"{left:<{min(width, 60)}}   # {right}" for left, right in rows), ""]


def _why(match: Match) -> Sequence[str]:
    if match.order == "unsure":
        return (*match.why, "where no comma tells it, is the first name in front, or the last? Look")
    if match.order:
        return (*match.why, f"written {match.order}, by common first names")
    return match.why


def _source(match: Match, main: Dated | None, year: int) -> str:
    place = _place(match.seen)
    options = []
    if match.order in ("last first",):
        options.append('order = "last first"')
    if match.piece[1]:
        options += [f"split = {_quoted(match.piece[0])}", f"take = {match.piece[1]}"]
    dated = match.dated
    own = dated is not None and main is not None and (dated.formats, dated.choices) != (main.formats, main.choices)
    if dated is not None and own and match.field != "event.datetime":
        options.append(f"formats = {_written(dated)}")
    if (
        dated is not None
        and match.field == "client.dob"
        and any("%y" in form for form in (*dated.formats, *dated.choices))
    ):
        options.append(f"pivot = {year % 100}")
    nothing = sorted({text.upper() for text in match.seen.column.values} & _NO_PHONE)
    if match.field.startswith("contact.phone") and nothing:
        options.append(f"values = {{ {', '.join(f'{_quoted(text)} = ' + _quoted('') for text in nothing)} }}")
    if match.beside:
        return f"{{ {', '.join([f'join = [{place}, {_place(match.beside)}]', *options])} }}"
    if not options:
        return place
    return f"{{ column = {place}, {', '.join(options)} }}"


def _parties(proposal: Proposal) -> list[str]:
    lines: list[str] = []
    for who, matches in proposal.parties.items():
        lines += ["[[party]]", f"name = {_quoted(who)}   # medium: a further person of each row"]
        lines += [f"columns.{match.field} = {_place(match.seen)}" for match in matches]
        lines += [f"constants.case.role = {_quoted(who.capitalize())}", ""]
    return lines


def _match(proposal: Proposal) -> list[str]:
    """A number that comes with several counties is one case in each of them."""
    number, location = proposal.of("case.number"), proposal.of("case.location")
    if number is None or location is None:
        return []
    pairs = set(zip(number.seen.column.texts(), location.seen.column.texts(), strict=True))
    pairs = {(case, place) for case, place in pairs if case and place}
    if len(pairs) == len({case for case, _ in pairs}):
        return []
    return ["[match]", 'case = "number + location"   # medium: a case number comes with several locations', ""]


def _left(proposal: Proposal) -> list[str]:
    """What nothing is made of: as fields of the agency's own, behind a #."""
    if not proposal.left:
        return []
    kind = "case" if proposal.of("case.number") else "client"
    lines = ["# Columns that nothing is made of. To keep one, take away its # and that of [custom].", "# [custom]"]
    for seen in proposal.left[:_LISTED]:
        name = seen.header if seen.header.strip() else f"column {seen.place + 1}"
        lines.append(f"# {kind}.{_quoted(name)} = {_place(seen)}   # {unsure_contents(seen.contents)}")
    if len(proposal.left) > _LISTED:
        lines.append(f"# and {len(proposal.left) - _LISTED:,} more")
    return lines


def _place(seen: Seen) -> str:
    return _quoted(seen.spec) if isinstance(seen.spec, str) else str(seen.spec)


def _called(seen: Seen) -> str:
    """The column, by its name if no other has the same."""
    if not seen.header:
        return f"column {seen.place + 1}"
    return f"the column {_plain(seen.header)!r}" + ("" if seen.single else f" (column {seen.place + 1})")


def _listed(names: Sequence[str], word: str = "or") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _several(forms: Sequence[str]) -> str:
    return _quoted(forms[0]) if len(forms) == 1 else f"[{', '.join(map(_quoted, forms))}]"


def _quoted(text: str) -> str:
    """A basic string of TOML, which JSON's are too, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing if number == 1 else thing + 's'}"


def _plain(text: str) -> str:
    """What may stand in a comment."""
    return "".join(character if character.isprintable() else "?" for character in text)
