"""The documents tell what the code does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ingest.record import FIELDS
from ingest.template import load_template
from tests.acceptance.clients.table import read_markdown, rows

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LEVELS = ("info", "warning", "error", "exception")


def test_every_field_of_a_template_is_told() -> None:
    pattern = r"`((?:client|contact|case|event|payment)\.[a-z_0-9]+)`"
    told = set(re.findall(pattern, (DOCS / "templates.md").read_text()))
    assert told >= {field for field in FIELDS if not re.search(r"_[3-9](_|$)", field)}
    assert told <= {*FIELDS, "client.name"}


def test_the_example_of_a_template_is_one() -> None:
    text = (DOCS / "templates.md").read_text()
    block = re.search(r"((?:    .*\n|\n)+?)(?=\nFormats are)", text[text.index('    name = "county-daily"') :])
    assert block is not None
    template = load_template("\n".join(line[4:] for line in block.group(1).splitlines()))
    assert template.columns["case.number"] == 13


MAPPED = """
name = "documented"
[columns]
client.reference = "id"
client.name = "name"
client.dob = "dob"
case.number = "number"
case.location = "county"
event.date = "date"
event.room = "room"
event.status = "status"
payment.amount = "amount"
payment.citation = "citation"
"""


def test_every_other_example_can_stand_in_a_template() -> None:
    text = (DOCS / "templates.md").read_text()
    blocks = re.findall(r"\n\n((?:    .*\n|\n(?=    ))+)", text[text.index("## Fields") :])
    found = ["\n".join(line[4:] for line in block.splitlines()) for block in blocks]
    commands = [block for block in found if block.startswith("dropslot ")]
    assert (len(found), len(commands)) == (9, 1)
    for block in set(found) - set(commands):
        load_template(f"{MAPPED}{block}")


def test_the_table_of_clients_tells_what_is_tested() -> None:
    """All but the versions, which are those of the machine it was made on."""
    told = read_markdown((DOCS.parent / "README.md").read_text())
    assert [[name, *cells] for name, _, *cells in told] == [[name, *cells] for name, _, *cells in rows(lambda _: "")]
    assert all(re.match(r"\d+\.\d+", version) for _, version, *_ in told[1:])


def logged(source: str) -> Iterator[str]:
    """The events that a module logs, as far as their names stand in the call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            name = ast.unparse(node.func.value).rpartition(".")[2]
            if name in ("log", "_log") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_every_event_of_the_log_is_told_and_no_other() -> None:
    sources = [path.read_text() for package in ("server", "ingest", "keys") for path in (ROOT / package).rglob("*.py")]
    events = {event for source in sources for event in logged(source)}
    first_cells = re.findall(r"^\| (`.*?) \|", (DOCS / "log.md").read_text(), re.MULTILINE)
    told = {event for cell in first_cells for event in re.findall(r"`(.+?)`", cell)}
    assert events - told == set()
    assert {event for event in told if not any(f'"{event}"' in source for source in sources)} == set()
    assert len(events) > 60
