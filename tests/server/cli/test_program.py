"""The program has the commands that it needs, and to help all of them."""

import subprocess
import sys

import pytest
from typer.main import get_command

from server.cli.program import COMMANDS, assemble

MODULES = {place.partition(":")[0] for place in COMMANDS.values()}


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["agency", "list"], "agency"),
        (["--data", "agency", "host-key", "list"], "host-key"),
        (["--data=key", "demo"], "demo"),
    ],
    ids=range(3),
)
def test_the_command_that_is_typed_is_there_alone(words: list[str], command: str) -> None:
    assert list(get_command(assemble(words)).commands) == [command]  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [[], ["--help"], ["--help", "agency"], ["agncy"], ["--data"]], ids=range(5))
def test_else_all_of_them_are(words: list[str]) -> None:
    assert set(get_command(assemble(words)).commands) == set(COMMANDS)  # type: ignore[attr-defined]


def test_no_module_is_imported_for_another_command() -> None:
    imported = f"import sys; assemble(['ban', 'list']); print(*({MODULES} & {{m[11:] for m in sys.modules}}))"
    said = subprocess.check_output([sys.executable, "-c", f"from server.cli.program import assemble; {imported}"])
    assert said.split() == [b"ban"]


def test_garbage_is_looked_for_again_after_an_import() -> None:
    said = subprocess.check_output(
        [sys.executable, "-c", "import gc; from server.cli.program import assemble; assemble(); print(gc.isenabled())"]
    )
    assert said.strip() == b"True"
