"""The documents tell what the code does."""

import re
from pathlib import Path

from ingest.record import FIELDS
from ingest.template import load_template
from tests.acceptance.clients.table import read_markdown, rows

DOCS = Path(__file__).parent.parent / "docs"


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
