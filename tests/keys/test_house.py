"""What holds for the package as a whole: no key material in it, `cryptography` nowhere else, no neighbour imported."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADER = re.compile("BEGIN [A-Z0-9 ]*" + "PRIVATE KEY" + "|PuTTY-User-" + "Key-File-")
IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_no_private_key_lies_in_the_tree() -> None:
    folders = ("keys", "server", "ingest", "tests", "bench", "docs", "deploy")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path for path in files if not {"__pycache__", "out"} & set(path.relative_to(ROOT).parts)]
    assert not [path for path in texts if HEADER.search(path.read_bytes().decode("latin-1"))]


def test_the_package_imports_neither_server_nor_ingest() -> None:
    found = {name for path in sources("keys") for name in IMPORT.findall(path.read_text())}
    assert "cryptography" in found
    assert not found & {"server", "ingest", "tests", "asyncssh"}
