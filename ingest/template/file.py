"""The small tables of a template: how its files are written, and how much of them is taken."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.errors import IngestError
from ingest.format import FileFormat, read_format
from ingest.template.place import Path, TemplateError

_SIZE = re.compile(r"(\d{1,15}) ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?")
_UNITS = MappingProxyType(
    {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
)


def read_file(table: Mapping[str, Any]) -> FileFormat:
    """How files are written (`ingest.format`)."""
    try:
        return read_format(table)
    except IngestError as error:
        key = error.message.partition(" ")[0]
        path = ("file", key) if key in table else ("file",)
        raise TemplateError(error.code, error.message, error.hint, path) from error


def flag(table: Mapping[str, Any], key: str, path: Path, default: bool = True) -> bool:
    """True or false."""
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise TemplateError("template_value", f"{key} must be true or false.", path=(*path, key))
    return value


def choice(table: Mapping[str, Any], key: str, known: Mapping[str, str | None], path: Path) -> str | None:
    """What one of the known words stands for; without any, that of the first or of `auto`."""
    value = table.get(key, "auto" if "auto" in known else next(iter(known)))
    if not isinstance(value, str) or value not in known:
        options = ", ".join(f'"{name}"' for name in known if name != "\t")
        raise TemplateError("template_value", f"{key} is none of {options}.", path=(*path, key))
    return known[value]


def read_rows(table: Mapping[str, Any]) -> int | None:
    """The largest number of rows."""
    value = table.get("rows")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TemplateError("template_value", "rows must be a number from 1 on.", path=("limits", "rows"))
    return value


def read_size(table: Mapping[str, Any]) -> int | None:
    """The largest size, in bytes."""
    value = table.get("size")
    if value is None:
        return None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    size = value if isinstance(value, int) else int(match[1]) * _UNITS[match[2] or "B"] if match else 0
    if isinstance(value, bool) or size < 1:
        raise TemplateError(
            "template_value", "size must be a number of bytes.", 'For example: size = "50 MB"', ("limits", "size")
        )
    return size
