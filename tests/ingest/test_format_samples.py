"""Every file in tests/samples/formats is read as what stands in the JSON beside it."""

import json
from pathlib import Path

import pytest

from ingest.errors import IngestError
from ingest.format import KEYS, read_format
from tests.ingest.tables import read

pytestmark = pytest.mark.sqlite_only  # what is tried here ends before the database

FOLDER = Path(__file__).parents[1] / "samples" / "formats"
NAMES = sorted(path.name.removesuffix(".json") for path in FOLDER.glob("*.json"))


def test_there_are_samples() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".json") == NAMES
    assert len(NAMES) > 40


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_read_as_it_should(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert set(expected["file"]) <= set(KEYS)
    form = read_format(expected["file"])
    if "error" in expected:
        with pytest.raises(IngestError) as caught:
            read(FOLDER / name, form, expected["wanted"])
        assert (caught.value.code, bool(caught.value.hint)) == (expected["error"], True)
        return
    found = read(FOLDER / name, form, expected["wanted"])
    assert found.names == expected["names"]
    assert [[line, cells] for line, cells in found.rows] == expected["rows"]
    assert [list(each) for each in found.refused] == expected["refused"]
    assert {key: found.told[key] for key in expected["told"]} == expected["told"]
    assert list(found.notes) == expected.get("notes", [])
