"""Cells in which a spreadsheet shows a formula's error (#N/A) in place of a text: nobody knows what belongs there.

Those of dates, amounts, phone numbers and the like are answered already, since they cannot be read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ingest import coerce
from ingest.check.faults import Faults
from ingest.identity import matched_fields
from ingest.mapping import lay_over
from ingest.parse import Column
from ingest.template import Template

_BROKEN = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)", re.IGNORECASE)


def find_broken(raw: Mapping[str, Column], values: dict[str, Column], faults: Faults) -> dict[str, Column]:
    """Take texts out of `values` that are a formula's error, or of which a piece is one; the cells of those that
    records are matched by, by field. Reported are those that the template needs, and those that nothing is matched by.
    """
    template, found = faults.rules.template, {}
    matched = matched_fields(template)
    for name in sorted(values.keys() & template.fields):
        nothing = Column(np.full(len(values[name].codes), -1, dtype=np.int32), ())
        broken = nothing
        for column in (values[name], *_pieces(name, raw, template)):
            if "#" in "\n".join(column.values):  # looked at in one go, for most hold none
                broken = lay_over(broken, column.map(_broken), broken.filled)
        if broken.filled.any():
            values[name] = lay_over(nothing, values[name], broken.filled)
            found[name] = broken
    for name in sorted(found.keys() - (matched - template.required)):
        severity = "error" if name in template.required else "warning"
        faults.add(np.flatnonzero(found[name].filled).tolist(), name, "broken", found[name], severity)
    return {name: column for name, column in found.items() if name in matched}


def _pieces(name: str, raw: Mapping[str, Column], template: Template) -> Iterator[Column]:
    """The cells that a field is put together of."""
    rule = template.rules.get(name)
    if rule and rule.way == "join":
        yield from (raw[slot].map(coerce.tidy) for slot in rule.slots if slot in raw)


def _broken(texts: Sequence[str]) -> list[str | None]:
    return [text if _BROKEN.fullmatch(text) else None for text in texts]
