"""Rules of the repository that no other tool holds."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "server", "ingest", "keys", "tests", "deploy"),
    *("Makefile", "requirements.lock", "requirements-dev.lock", ".ci", ".gitignore", "CHANGELOG.md", "LICENSE"),
    *("docs", "bench"),
}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def test_nothing_else_stands_at_the_top() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_private_key_is_in_the_repository() -> None:
    header = re.compile(rb"-----BEGIN [A-Z ]*" + rb"PRIVATE KEY|PuTTY-User-Key-" + rb"File")
    assert [path for path in tracked() if header.search(path.read_bytes())] == []


def test_no_lock_file_holds_an_address() -> None:
    locks = [path for path in tracked() if path.suffix == ".lock" or path.name == "package-lock.json"]
    assert len(locks) == 3
    assert [path for path in locks if "://" in path.read_text()] == []


@pytest.mark.parametrize("package", ["server", "ingest", "keys"])
def test_no_other_distribution_provides_our_packages(package: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(package, []))
    assert owners <= {"dropslot"}


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


HEAVY = ("pandas", "numpy", "pyarrow", "asyncssh", "obstore", "xlsxwriter", "boto3")


IMPORTS = (
    "from server.cli.program import assemble; assemble()",
    "import server.app",
    "import server.inbound.rounds",
)


@pytest.mark.parametrize("imports", IMPORTS)
def test_what_is_slow_to_import_is_imported_where_it_is_used(imports: str) -> None:
    """Else each command, and each process of the server, would pay a second and 60 MB for it."""
    heavy = f"import sys; {imports}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
