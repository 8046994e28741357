"""The documents tell what the code does."""

import re
from pathlib import Path

from ingest.record import FIELDS
from ingest.template import load_template

DOCS = Path(__file__).parent.parent / "docs"


def test_every_field_of_a_template_is_told() -> None:
    told = set(re.findall(r"`((?:client|contact|case|event)\.[a-z_]+)`", (DOCS / "templates.md").read_text()))
    assert told >= set(FIELDS)
    assert told <= set(FIELDS)


def test_the_example_of_a_template_is_one() -> None:
    text = (DOCS / "templates.md").read_text()
    block = re.search(r"((?:    .*\n|\n)+?)(?=\nFormats are)", text[text.index('    name = "county-daily"') :])
    assert block is not None
    template = load_template("\n".join(line[4:] for line in block.group(1).splitlines()))
    assert template.columns["case.number"] == 13
