"""What is typed wrong is said in words that everybody knows."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.program import app


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sync log --limit 0", "'--limit': it must be at least 1"),
        ("sync log --limit x", "'--limit': it must be a whole number"),
        ("template check a b c --rows 99", "'--rows': it must be at most 20"),
        ("export show a", "Missing argument 'NAME'"),
    ],
    ids=range(4),
)
def test_a_value_that_cannot_be_is_told(tmp_path: Path, words: str, said: str) -> None:
    done = CliRunner().invoke(app, ["--data", str(tmp_path), *words.split()], env={"COLUMNS": "150"})
    assert done.exit_code == 2
    assert said in done.output
    assert "Input should" not in done.output
