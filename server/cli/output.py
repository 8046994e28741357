"""What a command prints: one JSON document for programs, clear text for people."""

import csv
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from ingest.guard import neutral

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write("\n")


def print_one(document: Mapping[str, object], as_json: bool, sentence: str = "") -> None:
    """One thing: an object, or a sentence (or else a line per field)."""
    if as_json:
        print_json(document)
    elif sentence:
        say(sentence)
    else:
        width = max(map(len, document), default=0)
        for key, value in document.items():
            say(f"{key.replace('_', ' '):<{width}}  {printable(_cell(value))}")


def print_list(rows: Sequence[Mapping[str, object]], as_json: bool, columns: Sequence[str], empty: str) -> None:
    """Several things: a list of objects, or a table of `columns`, or the sentence `empty` when there are none."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        say(empty)
    else:
        for line in _table(rows, columns):
            say(line)


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """A CSV on standard output, with the cells neutralised that a spreadsheet would execute."""
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([neutral(_cell(row.get(column))) for column in columns] for row in rows)


def say(sentence: str) -> None:
    """Lines for people."""
    for line in sentence.split("\n"):
        sys.stdout.write(printable(line) + "\n")


def print_text(text: str) -> None:
    """A text that is meant to be a file: every character of it, but on a terminal none that could steer that."""
    lines = text.rstrip().split("\n")
    shown = ["\t".join(map(printable, line.split("\t"))) for line in lines] if sys.stdout.isatty() else lines
    sys.stdout.write("\n".join(shown) + "\n")


def counted(number: int, thing: str) -> str:
    """`1 row`, `2 rows`, `3 new files`."""
    return f"{number:,} {thing if number == 1 else thing + 's'}"


def state_word(state: str) -> str:
    """What people call the state of a file: `waits for a person`, `partially processed`."""
    return {"awaiting_confirmation": "waits for a person"}.get(state, state.replace("_", " "))


def as_dict(thing: Any) -> dict[str, object]:
    """The fields of a dataclass instance, one level deep; those that its `repr` hides are hidden here too."""
    return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing) if field.repr}


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> Iterator[str]:
    """Lines as wide as they must be: a path that is cut cannot be copied. Columns without a value are left out."""
    shown = [column for column in columns if any(row.get(column) not in (None, "") for row in rows)]
    cells = [[column.replace("_", " ").upper() for column in shown]]
    cells += [[_cell(row.get(column)) for column in shown] for row in rows]
    yield from aligned(cells)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of cells below each other, each column as wide as it must be."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return str(value)


def printable(cell: str) -> str:
    """A court's file name or cell must not steer the operator's terminal."""
    return "".join(character if character.isprintable() else "?" for character in cell)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    return str(value)
