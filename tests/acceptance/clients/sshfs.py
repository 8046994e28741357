"""sshfs: the agency's home as a directory of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.clients.client import FAR, Client, first_version
from tests.acceptance.court import Court, need, run_quietly, wait_for


class Sshfs(Client):
    """One mount for all operations."""

    name = "sshfs"

    def __init__(self, court: Court) -> None:
        super().__init__(court)
        self._mount = court.folder / "mount"
        self._mount.mkdir()
        place = f"{court.slug}@127.0.0.1:/"
        options = [f"IdentityFile={court.key}", "dir_cache=no", *court.ssh_options()[1::2]]
        more = [part for option in options for part in ("-o", option)]
        command = [need("sshfs"), "-f", "-p", str(court.dropslot.port), *more, place, str(self._mount)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(self._is_mounted, "the mount")

    @classmethod
    def version(cls) -> str:
        need("fusermount3")
        said = run_quietly([need("sshfs"), "--version"]).stdout
        try:
            os.close(os.open("/dev/fuse", os.O_RDWR))
        except OSError:
            pytest.skip("this kernel has no /dev/fuse, or it is not ours to open: sshfs cannot be tried")
        return first_version(said[said.index("SSHFS version") :])

    def put(self, local: Path, remote: str, keep_time: bool = False) -> None:
        (shutil.copy2 if keep_time else shutil.copyfile)(local, self._at(remote))

    def get(self, remote: str, local: Path) -> None:
        shutil.copyfile(self._at(remote), local)

    def resume_put(self, local: Path, remote: str) -> None:
        with local.open("rb") as source, self._at(remote).open("r+b") as target:
            source.seek(target.seek(0, os.SEEK_END))
            shutil.copyfileobj(source, target)

    def resume_get(self, remote: str, local: Path) -> None:
        with self._at(remote).open("rb") as source, local.open("ab") as target:
            source.seek(target.tell())
            shutil.copyfileobj(source, target)

    def rename(self, old: str, new: str) -> None:
        self._at(old).rename(self._at(new))

    def names(self, directory: str) -> list[str]:
        return os.listdir(self._at(directory))

    def read_far(self, remote: str) -> bytes:
        with self._at(remote).open("rb") as file:
            file.seek(FAR)
            return file.read()

    def close(self) -> None:
        subprocess.run([need("fusermount3"), "-u", "-z", str(self._mount)], check=False, capture_output=True)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_mounted(self) -> bool:
        if self._process.poll() is not None:
            assert self._process.stderr
            raise AssertionError(f"sshfs ended: {self._process.stderr.read()}")
        return os.path.ismount(self._mount)

    def _at(self, path: str) -> Path:
        return self._mount / path.lstrip("/")
