"""ssh2-sftp-client from npm, for programs in JavaScript; installed from its lock file when it is first asked for."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.acceptance.clients.client import FAR, Client
from tests.acceptance.court import Court, need, run_quietly

HERE = Path(__file__).parent / "node"


class Ssh2SftpClient(Client):
    """One run of `driver.cjs` for all operations."""

    name = "ssh2-sftp-client"
    note = "npm; `posixRename` replaces"
    cannot = MappingProxyType({"time": "it has no call that sets times"})

    @classmethod
    def version(cls) -> str:
        package = json.loads((_modules() / "ssh2-sftp-client" / "package.json").read_text())
        return str(package["version"])

    def __init__(self, court: Court) -> None:
        super().__init__(court)
        command = [need("node"), HERE / "driver.cjs", str(court.dropslot.port), court.slug, court.key]
        environment = {**os.environ, "NODE_PATH": str(_modules())}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        self._drive("put", str(local), remote)

    def get(self, remote: str, local: Path) -> None:
        self._drive("get", remote, str(local))

    def resume_put(self, local: Path, remote: str) -> None:
        self._drive("resumePut", str(local), remote)

    def resume_get(self, remote: str, local: Path) -> None:
        self._drive("resumeGet", remote, str(local))

    def rename(self, old: str, new: str) -> None:
        self._drive("rename", old, new)

    def names(self, directory: str) -> list[str]:
        names: list[str] = self._drive("list", directory)
        return names

    def read_far(self, remote: str) -> bytes:
        return str(self._drive("read", remote, FAR)).encode()

    def close(self) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _drive(self, *request: str | int) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


def _modules() -> Path:
    """Where the packages of the lock file are; they are fetched once for each lock file."""
    need("node")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "dropslot-tests" / f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"
    modules = place / "node_modules"
    if not modules.exists():
        _install(place)
    return modules


def _install(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="npm-", dir=place.parent))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        command = [need("npm"), "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
        done = run_quietly(command, cwd=fresh)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install ssh2-sftp-client: {done.stderr.strip()[-300:]}")
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot install ssh2-sftp-client: the registry does not answer")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
