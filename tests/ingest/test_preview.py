"""The first rows of a sample, as a template reads them."""

from pathlib import Path

from ingest.limits import Limits
from ingest.preview import preview
from ingest.template import load_template
from tests.ingest.court import ZONE
from tests.ingest.test_mapping import HEAD


def test_two_parties_of_one_name_are_both_shown(tmp_path: Path) -> None:
    toml = HEAD + "".join(f'[[party]]\nname = "attorney"\ncolumns.client.reference = "a{n}"\n' for n in (1, 2))
    toml += '[[party]]\nname = "victim"\ncolumns.client.reference = "v"\n'
    path = tmp_path / "file"
    path.write_text("id,no,a1,a2,v\n1,C1,8,9,7\n")
    lines = preview(path, load_template(toml), ZONE, "US", Limits(), 5).lines
    shown = [(line.who, line.source, line.values) for line in lines if line.who]
    assert shown == [("attorney (1)", "a1", ("8",)), ("attorney (2)", "a2", ("9",)), ("victim", "v", ("7",))]
