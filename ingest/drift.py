"""Files that come in another shape than before: told, or stopped before any row is read.

A file is compared with the last one of its template. New columns are told. A column that the template can do without
and that is gone is told until somebody accepts it: what it held is not updated any more. A column that the template
needs, or columns by position that have moved, stop the file. An operator accepts a new shape; nobody else does.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from ingest.answer import Upload
from ingest.check import Rules
from ingest.errors import IngestError
from ingest.identity import matched_fields
from ingest.infer.contents import Contents, look_at
from ingest.layout import Layout
from ingest.limits import Limits
from ingest.mapping import is_told, made_of, map_columns
from ingest.mapping.plan import NO_HEADER, UNLIKE, Plan, described
from ingest.moments import day_of
from ingest.parse import read_cells
from ingest.parse.records import places
from ingest.shape import STOPPED, Shape, kind_of
from ingest.template import Template, TemplateVersion, load_template, slot_owner, split_party

CODE = "drift"
_LOOKED_AT = 500
_FEWEST = 5
_CERTAIN = ("date", "datetime", "time", "email")
_MOSTLY, _HARDLY = 0.8, 0.2
_ACCEPT = "If files will come so from now on, the operators of this server can accept it."
_CHANGE = "If files will come so from now on, the operators of this server must change the template."


@dataclass(frozen=True)
class Comparison:
    """Sentences about what is new and what is gone, and the shape that is to be remembered if the file is taken."""

    notes: tuple[str, ...]
    shape: Shape | None


def spared(template: Template, known: Shape | None, version: str) -> Template:
    """The template, which does without the columns that an operator has let go under this version of it."""
    if known is None or known.version != version:
        return template
    return replace(template, spared=known.let_go | _of_fields(known, template))


def _of_fields(known: Shape, template: Template) -> frozenset[str]:
    """The slots of the fields that an earlier release let go as a whole; of filters, those that were gone."""
    gone = _without(template, known.columns) if "exclude" in known.spared else frozenset()
    owners = {slot: split_party(slot_owner(slot))[1] for slot in template.columns}
    return frozenset(
        slot for slot, owner in owners.items() if owner in known.spared and (owner != "exclude" or slot in gone)
    )


@contextmanager
def comparing(known: Shape | None, template: Template, limits: Limits) -> Iterator[None]:
    """A column that is missing is one that is gone, if an earlier file had it. The file is read by `template`."""
    try:
        yield
    except IngestError as error:
        if error.code != "missing_column" or known is None or not error.expected:
            raise
        gone = [name for name in known.columns if name not in error.found]
        is_plain = not error.hint.startswith("Is ") and error.hint != NO_HEADER
        now = "Export the file with the columns of before." if is_plain else error.hint
        raise IngestError(
            CODE,
            f"{_briefly(error)} The last file, {known.file} of {known.day}, had "
            f"{'other columns' if not known.names or not gone else _listed(gone)}.",
            f"{now} {_way_on(known, error.found, template, limits)}",
            known.columns,
            error.found,
        ) from error


def _briefly(error: IngestError) -> str:
    """What is missing, without what was expected and found: those stand side by side below it."""
    missing, _, rest = error.message.partition(" Expected: ")
    return rest[rest.index(UNLIKE) :] if error.hint == NO_HEADER else missing


def compare(known: Shape | None, layout: Layout, version: str, upload: Upload) -> Comparison:
    """Compare a file with the last one. Raises IngestError `drift` if its columns have moved."""
    plan, template = layout.rules.plan, layout.rules.template
    if plan.answered:
        return Comparison((), None)
    names = plan.header if template.header else ()
    kinds = () if template.header else _kinds(layout)
    day = day_of(upload.started_at, layout.rules.zone)
    shape = Shape(names, plan.width, upload.file, day, kinds, version=version)
    if known is None:
        return Comparison((), shape)
    if known.version == version:
        _refuse_moved(known, shape, template, layout.rules.limits)
        shape = replace(shape, let_go=template.spared)
    lost = _lost(known, plan, template)
    notes = _notes(known, names, lost, layout.rules)
    return Comparison(notes, replace(shape, lost=MappingProxyType(lost)))


def accept(
    known: Shape | None, upload: Upload, version: TemplateVersion, limits: Limits, zone: str
) -> tuple[Shape, tuple[str, ...]]:
    """The shape of the file of `upload`, stopped or not, as the one to be expected; and the fields that nothing is read
    for any more. `zone` is the agency's.

    Raises IngestError `conflict` if there is nothing to accept, or if the template cannot do without what is gone.
    """
    template = spared(load_template(version.text), known, version.id)
    if upload.error is None or upload.error.code not in STOPPED:
        return _without_lost(known, upload, version, template, zone), ()
    gone = _let_go(known, upload.header, template, limits)
    shape = Shape(
        upload.header if template.header else (),
        len(upload.header),
        upload.file,
        day_of(upload.started_at, zone),
        kinds=() if template.header else _kinds_known(known, upload.header),
        let_go=template.spared | gone,
        version=version.id,
    )
    return shape, tuple(_unread(gone, template, template.columns.keys() - gone))


def _without_lost(
    known: Shape | None, upload: Upload, version: TemplateVersion, template: Template, zone: str
) -> Shape:
    """The shape of the last file, which came without columns that the template can do without."""
    if upload.error is not None:
        raise IngestError(
            "conflict",
            f"{upload.file} was not stopped for columns that could be accepted. {upload.error.message}",
            upload.error.hint,
        )
    if known is None or (known.file, known.day) != (upload.file, day_of(upload.started_at, zone)):
        raise IngestError(
            "conflict",
            f"{upload.file} was not stopped: it is {upload.status.replace('_', ' ')}.",
            "Name the upload that was stopped, or leave it away: then the last one of the template is meant.",
        )
    if not known.lost:
        raise IngestError(
            "conflict",
            "The last file of this template came in the shape that is expected.",
            "There is nothing to accept.",
        )
    lost = frozenset(slot for name in known.lost for slot in _slots_of(name, template))
    more = lost & _without(template, known.columns) if known.version == version.id else frozenset()
    return replace(known, lost=MappingProxyType({}), spared=frozenset(), let_go=template.spared | more)


def _kinds_known(known: Shape | None, header: tuple[str, ...]) -> tuple[str, ...]:
    """What the columns of a file without a header hold: as before, so that one which was put in before others shows
    in the next file; and those that are new."""
    before = known.kinds if known is not None else ()
    return (*before[: len(header)], *map(kind_of, header[len(before) :]))


def _way_on(known: Shape | None, header: tuple[str, ...], template: Template, limits: Limits) -> str:
    """Whether an operator may accept a file with this header, in a sentence for its agency."""
    try:
        _let_go(known, header, template, limits)
    except IngestError:
        return _CHANGE
    return _ACCEPT


def _let_go(known: Shape | None, header: tuple[str, ...], template: Template, limits: Limits) -> frozenset[str]:
    """The slots that files with this header come without. Raises IngestError `conflict` if the template cannot do
    without what is gone."""
    _refuse_places(known, header, template)
    if template.header and not template.headers & set(header):
        raise IngestError(
            "conflict", "The first line of that file does not look like a header.", "Ask the court to export one."
        )
    gone = _without(template, header)
    loose = replace(template, spared=template.spared | gone)
    try:
        map_columns(loose, header, limits)
    except IngestError as error:
        raise IngestError(
            "conflict", f"The template cannot do without a column that is gone. {_briefly(error)}", _instead(error)
        ) from error
    matched = sorted(slot for slot in gone if made_of(slot, template) & matched_fields(template))
    if matched:
        raise IngestError(
            "conflict",
            f"Records are matched by {described(template.columns[matched[0]])}, which is gone: each would be made a "
            "second time.",
            "Ask the court for the column, or add a template that matches by others ([match] in docs/templates.md).",
        )
    return gone


def _refuse_places(known: Shape | None, header: tuple[str, ...], template: Template) -> None:
    """What the template reads by its position would be read as something else. Without a header, only more or fewer
    columns can be accepted; what they hold is compared with the next file all the same."""
    places = sorted({spec - 1 for spec in template.columns.values() if isinstance(spec, int)})
    if known is None or not places:
        return
    if template.header:
        other = [place for place in places if known.names[place : place + 1] != header[place : place + 1]]
    else:
        other = places if len(header) == known.width else []
    if other:
        raise IngestError(
            "conflict",
            f"The template reads column {other[0] + 1} by its position, and another one stands there now: its cells "
            "would go into the wrong field.",
            "Change the numbers: dropslot template show, then template add. Or ask the court for the old order.",
        )


def _instead(error: IngestError) -> str:
    hint = error.hint if error.hint.startswith("Is ") else ""
    return f"{hint} Change the template: dropslot template show, then template add.".strip()


def _without(template: Template, header: Collection[str]) -> frozenset[str]:
    """The slots whose column is not in a file with this header."""
    gone = set()
    for slot, spec in template.columns.items():
        there = spec <= len(header) if isinstance(spec, int) else any(name in header for name in spec)
        if not there:
            gone.add(slot)
    return frozenset(gone)


def _refuse_moved(known: Shape, shape: Shape, template: Template, limits: Limits) -> None:
    """Columns that are read by their position must be where they were."""
    places = sorted({spec - 1 for spec in template.columns.values() if isinstance(spec, int)})
    if not places:
        return
    if not shape.names:
        _refuse_other_width(known, shape, template, limits)
        moved = [place for place in places if _changed(known.kinds, shape.kinds, place)]
    else:
        moved = [place for place in places if known.names[place : place + 1] != shape.names[place : place + 1]]
    if moved:
        numbers = ", ".join(str(place + 1) for place in moved)
        raise IngestError(
            CODE,
            f"The columns of the file are in another order than in the last one, {known.file} of {known.day}: "
            f"{'column' if len(moved) == 1 else 'columns'} {numbers}. The template reads them by their position, so no "
            "row was read.",
            "Export the file with the columns in the order of before. If it is to stay so, the operators here "
            "must change the template.",
            known.columns,
            shape.columns,
        )


def _refuse_other_width(known: Shape, shape: Shape, template: Template, limits: Limits) -> None:
    if known.width != shape.width:
        raise IngestError(
            CODE,
            f"The file has {shape.width:,} columns; the last one, {known.file} of {known.day}, had {known.width:,}. "
            "The template reads them by their position, so no row was read.",
            f"Export the file with the columns of before. {_way_on(known, shape.columns, template, limits)}",
            known.columns,
            shape.columns,
        )


def _changed(old: tuple[str, ...], new: tuple[str, ...], place: int) -> bool:
    """Whether a column holds something else for certain: dates where times were, or no dates where dates were."""
    if place >= len(old) or place >= len(new) or not old[place] or not new[place]:
        return False
    return old[place] != new[place] and bool({old[place], new[place]} & set(_CERTAIN))


def _kinds(layout: Layout) -> tuple[str, ...]:
    """What the columns of a file without a header hold, as far as it is certain."""
    width = layout.rules.plan.width
    rows = places(layout.rows[:_LOOKED_AT])
    cells = read_cells(layout.file, layout.records, rows, layout.dialect, width, set(range(width)))
    return tuple(_kind(look_at(cells.columns[place], layout.rules.region)) for place in range(width))


def _kind(contents: Contents) -> str:
    if contents.filled < _FEWEST:
        return ""
    kinds = [kind for kind in _CERTAIN if contents.look(kind) >= _MOSTLY]
    if kinds:
        return kinds[0]
    return "text" if all(contents.look(kind) <= _HARDLY for kind in _CERTAIN) else ""


def _lost(known: Shape, plan: Plan, template: Template) -> dict[str, str]:
    """Columns that an earlier file had, that the template reads, and that this file has under no name."""
    absent = {
        name
        for slot, spec in template.columns.items()
        if slot not in plan.columns and not isinstance(spec, int)
        for name in spec
    }
    before = {**dict(known.lost), **dict.fromkeys(known.names, known.day)}
    return {name: day for name, day in before.items() if name in absent and not _is_let_go(name, plan, template)}


def _is_let_go(name: str, plan: Plan, template: Template) -> bool:
    """Whether an operator has accepted that files come without this column; it may have been there once more."""
    return all(slot in plan.columns or slot in template.spared for slot in _slots_of(name, template))


def _slots_of(name: str, template: Template) -> list[str]:
    """The slots that a column is read for."""
    return [slot for slot, spec in template.columns.items() if isinstance(spec, tuple) and name in spec]


def _unread(slots: Collection[str], template: Template, there: Collection[str]) -> list[str]:
    """What nothing is read for in a file with the slots `there`, of what these slots are for; as people call it."""
    silent = (slot for slot in slots if not any(is_told(name, template, there) for name in made_of(slot, template)))
    return sorted({_called(slot, template) for slot in silent})


def _called(slot: str, template: Template) -> str:
    """What a column is for: a field, of a further party maybe, or a filter."""
    party, field = split_party(slot_owner(slot))
    reasons = [exclude.reason for exclude in template.excludes if exclude.name == slot]
    if reasons and slot not in template.fields:
        return f"the filter {reasons[0]!r}"
    return f"{field} of {template.parties[party - 1].name!r}" if party else field


def _notes(known: Shape, names: tuple[str, ...], lost: Mapping[str, str], rules: Rules) -> tuple[str, ...]:
    new = [name for name in names if name and name not in known.names and name not in known.lost] if known.names else []
    gone = [name for name in known.names if name and name not in names and name not in lost]
    notes = []
    if new:
        notes.append(f"New since the last file: {_listed(new)}.")
    for name, day in lost.items():
        slots = _slots_of(name, rules.template)
        if unread := _unread(slots, rules.template, rules.plan.columns):
            told = f"Nothing is read for {', '.join(unread)}, so what is kept of it is not updated."
        else:
            made = sorted({_called(slot, rules.template) for slot in slots})
            told = f"{', '.join(made)} is read from its other columns alone."
        notes.append(f"The column {name!r} is gone; the file of {day} was the last that had it. {told} {_ACCEPT}")
    accepted = [
        name for name in gone if name in rules.template.headers and _is_let_go(name, rules.plan, rules.template)
    ]
    strange = [name for name in gone if name not in rules.template.headers]
    if accepted and names:
        notes.append(f"Gone since the last file, which an operator has accepted: {_listed(accepted)}.")
    if strange and names:
        notes.append(f"Gone since the last file, and not read by the template: {_listed(strange)}.")
    return tuple(notes)


def _listed(names: Collection[str]) -> str:
    shown = [repr(name if len(name) <= 60 else name[:60] + "…") for name in list(names)[:20]]
    return ", ".join(shown + ([f"and {len(names) - 20:,} more"] if len(names) > 20 else []))
