"""Whether a file has the columns that records are matched by, as the file before had them.

A hearing that is known by its date and type is another one where no type is told. So a column that is optional may be
missing in every file, or in none: if it came and went, each record would be made a second time.
"""

from collections.abc import Collection, Mapping, Sequence

from ingest.errors import IngestError
from ingest.limits import Limits
from ingest.mapping.plan import Plan, described, is_told, map_columns
from ingest.template import Template, split_party

_WHEN = ("event.date", "event.time")
_BOTH = "event.datetime"


def refuse_unsteady(
    template: Template, plan: Plan, earlier: Template, before: Sequence[str], matched: Collection[str], limits: Limits
) -> None:
    """Compare with the file whose first row was `before`, and which `earlier` has read; `matched` are the fields that
    records are matched by. Of fields that the two templates read otherwise, nothing is asked.

    Raises IngestError: one of their columns is gone, or new.
    """
    try:
        had = map_columns(earlier, before, limits).columns
    except IngestError:
        return  # the template itself has changed
    alike = [field for field in matched if _read(field, template) == _read(field, earlier)]
    now, then = _sources(template, plan.columns, alike), _sources(earlier, had, alike)
    gone, new = [then[name] for name in then if name not in now], [now[name] for name in now if name not in then]
    if gone:
        said = f"The file lacks {described(earlier.columns[gone[0]])}, which the file before had"
        way = "If it cannot, a template that no longer maps it makes all records anew; undo what they were made by."
    elif new:
        said = f"The file has {described(template.columns[new[0]])}, which the file before lacked"
        way = "If it is to stay so, take the column out of optional in the template, or do not map it."
    else:
        return
    raise IngestError(
        "unsteady_column",
        f"{said}. Records are matched by it: each would be made a second time.",
        f"Export the file as before. {way}",
    )


def _read(field: str, template: Template) -> list[tuple[str, list[object], bool]]:
    """Of which columns the field is made, and whether files may come without it. A date and its time are one thing."""
    read = []
    for name in (*_WHEN, _BOTH) if field in _WHEN else (field,):
        rule = template.rules.get(name)
        places = [template.columns.get(slot) for slot in (rule.slots if rule else (name,))]
        read.append((rule.way if rule else "one", list[object](places), split_party(name)[1] in template.optional))
    return read


def _sources(template: Template, columns: Mapping[str, int], matched: Collection[str]) -> dict[str, str]:
    """What the fields are made of in a file with these columns, each with a slot of it: every column of a joined field,
    of another one any. Date and time may stand in one column."""
    fields, combined = set(matched), _BOTH in template.fields
    if combined and fields & set(_WHEN):
        fields |= set(_WHEN)
    found = {}
    for field in sorted(fields):
        rule = template.rules.get(field)
        slots = [slot for slot in (rule.slots if rule else (field,)) if slot in columns]
        if field in _WHEN and combined and _BOTH in columns:
            found[field] = _BOTH
        elif rule and rule.way == "join":
            found |= {slot: slot for slot in slots if is_told(field, template, columns)}
        elif slots:
            found[field] = slots[0]
    return found
