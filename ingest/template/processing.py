"""What a file means for the records that it does not name, and in which order several files are taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ingest.template.place import Path, TemplateError

UPDATE, REPLACE_ALL, REPLACE_TEMPLATE = "update", "replace_all", "replace_template"
KEYS = ("method", "guard", "by", "order")
_CHOICES = MappingProxyType(
    {
        "method": (UPDATE, REPLACE_ALL, REPLACE_TEMPLATE),
        "by": ("arrival", "name"),
        "order": ("ascending", "descending"),
    }
)


@dataclass(frozen=True)
class Processing:
    """The product's three methods, Update by Fields, Load and Replace All Uploads, and the same Using This Template.

    `guard` is the share, in percent, of the live records that a file may withdraw without a person's word. Files that
    wait at the same time are taken `by` arrival or name, in `order` ascending or descending.
    """

    method: str = UPDATE
    guard: int = 30
    by: str = "arrival"
    order: str = "ascending"

    @property
    def replaces(self) -> bool:
        """Whether a file is a snapshot: records that it no longer names are withdrawn."""
        return self.method != UPDATE

    @property
    def as_they_come(self) -> bool:
        """Whether the file that came first is taken first."""
        return (self.by, self.order) == ("arrival", "ascending")


def read_processing(table: Mapping[str, Any]) -> Processing:
    """The table [processing] of a template."""
    usual = Processing()
    words = {key: _word(table, key, getattr(usual, key)) for key in _CHOICES}
    return Processing(guard=_share(table.get("guard", usual.guard)), **words)


def _word(table: Mapping[str, Any], key: str, usual: str) -> str:
    value = table.get(key, usual)
    if value not in _CHOICES[key]:
        options = ", ".join(f'"{name}"' for name in _CHOICES[key])
        raise TemplateError("template_value", f"{key} is none of {options}.", path=_at(key))
    return str(value)


def _share(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise TemplateError(
            "template_value", "guard must be a whole number from 0 to 100.", "It is a share in percent.", _at("guard")
        )
    return value


def _at(key: str) -> Path:
    return ("processing", key)
