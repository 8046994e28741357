"""Every client does everything that a court may ask of it, against the running server: the interoperability matrix.

Each cell is a test: what came is compared by its sha256 with what was sent, and dropslot must have noted each upload
once and as what it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import paramiko
import pytest

from tests.acceptance.clients import CLIENTS, OPERATIONS, Client
from tests.acceptance.clients.client import FAR
from tests.acceptance.conftest import make_court
from tests.acceptance.court import Court, Dropslot, ecr, ecr_row, wait_for

MANY = 10_000
CONTENT = b"".join(b"line %d of a file that nobody ingests\r\n" % number for number in range(9_000))
LONG_AGO = 1_600_000_000
UNICODE = "Терміни – Gerichtstermine ü № 日本 🏛.csv"

CELLS = [(client, operation) for client in CLIENTS for operation in OPERATIONS if operation not in client.cannot]


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    """One court for all clients, on a server that also takes clients without encrypt-then-MAC."""
    folder = tmp_path_factory.mktemp("matrix")
    dropslot = Dropslot(folder / "data")
    dropslot.environment |= {"DROPSLOT_POLICY": "compat", "DROPSLOT_SETTLE": "0.05"}
    try:
        court = make_court(dropslot, folder / "court", "matrix")
        dropslot.start()
        many = court.home / "download" / "many"
        many.mkdir(parents=True)
        for number in range(MANY):
            os.close(os.open(many / f"case-{number:05}.csv", os.O_CREAT | os.O_WRONLY, 0o600))
        yield court
        assert "Traceback" not in dropslot.log()
    finally:
        if dropslot.process is not None:
            dropslot.kill()


class Scene:
    """One client with a directory of its own on both sides."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.court = client.court
        self._place = type(client).__name__.lower()
        (self.court.home / "upload" / self._place).mkdir()
        self._local = self.court.folder / self._place
        self._local.mkdir()

    def local(self, name: str, content: bytes = b"") -> Path:
        file = self._local / name
        if content:
            file.write_bytes(content)
        return file

    def remote(self, name: str) -> str:
        return f"/upload/{self._place}/{name}"

    def at_home(self, remote: str) -> Path:
        """Where the server keeps it."""
        return self.court.home / remote.lstrip("/")

    def place(self, remote: str, content: bytes) -> Path:
        """Lay a file there as an operator would."""
        file = self.at_home(remote)
        file.write_bytes(content)
        return file

    def arrivals(self, remote: str) -> list[str]:
        return [row["state"] for row in self.court.arrivals(path=remote)]

    def noted(self, remote: str, content: bytes, times: int = 1) -> None:
        """The server has the file as it was sent, and noted it as often as it was sent, each time whole."""
        wait_for(lambda: len(self.arrivals(remote)) >= times, f"{times} arrival(s) of {remote}")
        assert digest(self.at_home(remote).read_bytes()) == digest(content)
        rows = self.court.arrivals(path=remote)
        assert next(row["size"] for row in rows) == len(content)
        assert len(rows) == times
        assert {row["source"] for row in rows} == {"sftp"}
        assert "partial" not in {row["state"] for row in rows}

    def tear(self, remote: str, beginning: bytes) -> None:
        """Lose the connection in the middle of an upload."""
        with paramiko.SSHClient() as ssh:
            ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            key = str(self.court.key)
            ssh.connect("127.0.0.1", self.court.dropslot.port, self.court.slug, key_filename=key, look_for_keys=False)
            file = ssh.open_sftp().open(remote, "w")
            file.write(beginning)
            file.flush()
            transport = ssh.get_transport()
            assert transport
            transport.sock.close()
        wait_for(lambda: self.arrivals(remote) == ["partial"], "the torn upload")


@pytest.fixture(scope="module")
def scenes(court: Court) -> Iterator[dict[type[Client], Scene]]:
    opened: dict[type[Client], Scene] = {}
    yield opened
    for scene in opened.values():
        with suppress(Exception):
            scene.client.close()


@pytest.fixture
def scene(kind: type[Client], court: Court, scenes: dict[type[Client], Scene]) -> Scene:
    if kind not in scenes:
        kind.version()  # skips if there is none
        scenes[kind] = Scene(kind(court))
    return scenes[kind]


@pytest.mark.parametrize(
    ("kind", "operation"), CELLS, ids=[f"{kind.name}-{operation}".replace(" ", "-") for kind, operation in CELLS]
)
def test_cell(scene: Scene, operation: str) -> None:
    DEEDS[operation](scene)


def put(scene: Scene) -> None:
    """The file of this one is ingested."""
    number = CLIENTS.index(type(scene.client))
    remote, content = f"/upload/{type(scene.client).__name__}.txt", ecr(*(ecr_row(100 * number + n) for n in range(20)))
    scene.client.put(scene.local("ecr.txt", content), remote)
    scene.noted(remote, content)
    wait_for(lambda: scene.arrivals(remote) == ["processed"], "the file to be ingested")


def get(scene: Scene) -> None:
    remote = scene.remote("get.csv")
    scene.place(remote, CONTENT)
    scene.client.get(remote, scene.local("back.csv"))
    assert digest(scene.local("back.csv").read_bytes()) == digest(CONTENT)


def resume_put(scene: Scene) -> None:
    remote = scene.remote("resumed.csv")
    scene.tear(remote, CONTENT[:70_000])
    scene.client.resume_put(scene.local("resumed.csv", CONTENT), remote)
    wait_for(lambda: scene.arrivals(remote) != ["partial"], "the resumed upload")
    scene.noted(remote, CONTENT)


def resume_get(scene: Scene) -> None:
    remote = scene.remote("reget.csv")
    scene.place(remote, CONTENT)
    scene.client.resume_get(remote, scene.local("reget.csv", CONTENT[:70_000]))
    assert digest(scene.local("reget.csv").read_bytes()) == digest(CONTENT)


def rename(scene: Scene) -> None:
    """As those do who upload under a temporary name."""
    old, new = scene.remote("rename.csv.part"), scene.remote("renamed.csv")
    scene.place(old, CONTENT)
    scene.client.rename(old, new)
    assert digest(scene.at_home(new).read_bytes()) == digest(CONTENT)
    assert not scene.at_home(old).exists()


def rename_over(scene: Scene) -> None:
    old, new = scene.remote("new.csv"), scene.remote("old.csv")
    scene.place(old, b"new")
    scene.place(new, b"old")
    if scene.client.replaces:
        scene.client.rename(old, new)
        assert (scene.at_home(old).exists(), scene.at_home(new).read_bytes()) == (False, b"new")
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011  each client has its own
            scene.client.rename(old, new)
        assert (scene.at_home(old).read_bytes(), scene.at_home(new).read_bytes()) == (b"new", b"old")


def overwrite(scene: Scene) -> None:
    """A shorter file leaves no tail of the longer one."""
    remote = scene.remote("overwritten.csv")
    for times, content in enumerate((CONTENT, b"shorter"), 1):
        scene.client.put(scene.local("overwritten.csv", content), remote)
        scene.noted(remote, content, times)


def list_many(scene: Scene) -> None:
    names = scene.client.names("/download/many")
    assert len(names) == len(set(names))
    assert {name for name in names if name not in (".", "..")} == {f"case-{number:05}.csv" for number in range(MANY)}


def keep_time(scene: Scene) -> None:
    remote, local = scene.remote("old-times.csv"), scene.local("old-times.csv", b"from long ago")
    os.utime(local, (LONG_AGO, LONG_AGO))
    scene.client.put(local, remote, keep_time=True)
    scene.noted(remote, b"from long ago")
    wait_for(lambda: int(scene.at_home(remote).stat().st_mtime) == LONG_AGO, "the time")


def unicode_name(scene: Scene) -> None:
    _there_and_back(scene, UNICODE, CONTENT)


def long_name(scene: Scene) -> None:
    _there_and_back(scene, "n" * 251 + ".csv", CONTENT)


def empty_file(scene: Scene) -> None:
    scene.local("empty.csv").touch()
    _there_and_back(scene, "empty.csv", b"")


def _there_and_back(scene: Scene, name: str, content: bytes) -> None:
    scene.client.put(scene.local(name, content), scene.remote(name))
    scene.noted(scene.remote(name), content)
    scene.client.get(scene.remote(name), scene.local("there-and-back"))
    assert digest(scene.local("there-and-back").read_bytes()) == digest(content)


def write_far(scene: Scene) -> None:
    """Under a temporary name, since a file with a hole of 2 GiB is not whole."""
    remote = scene.remote("far.part")
    with _sparse(scene.at_home(remote), b"") as file:
        scene.client.write_far(remote, b"!")
        wait_for(lambda: file.stat().st_size == FAR + 1, "the byte")
        assert _last(file) == b"!"


def read_far(scene: Scene) -> None:
    remote = scene.remote("far-away.part")
    with _sparse(scene.at_home(remote), b"?"):
        assert scene.client.read_far(remote) == b"?"


@contextmanager
def _sparse(file: Path, last: bytes) -> Iterator[Path]:
    with file.open("wb") as out:
        out.truncate(FAR)
        out.seek(FAR)
        out.write(last)
    try:
        yield file
    finally:
        file.unlink()


def _last(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(FAR)
        return stream.read()


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


DEEDS = {
    "put": put,
    "get": get,
    "resume_put": resume_put,
    "resume_get": resume_get,
    "rename": rename,
    "rename_over": rename_over,
    "overwrite": overwrite,
    "list": list_many,
    "time": keep_time,
    "unicode": unicode_name,
    "long": long_name,
    "empty": empty_file,
    "write_far": write_far,
    "read_far": read_far,
}
