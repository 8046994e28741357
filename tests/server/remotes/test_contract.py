"""What every kind of server must do, shown on the real thing: a home, OpenSSH's sshd, SeaweedFS."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import obstore
import pytest

from server.errors import AppError
from server.remotes.port import RemoteFile
from server.remotes.reach import open_secrets
from server.remotes.s3 import open_bucket
from server.remotes.server import MANAGED, Server
from tests import peers
from tests.server.remotes.conftest import Harbour, s3_server, sftp_server

pytestmark = pytest.mark.sqlite_only


@dataclass
class Case:
    """A server, and hands that reach what is behind it on another way than through it."""

    harbour: Harbour
    server: Server
    put: Callable[[str, bytes], None]
    get: Callable[[str], bytes]


def on_disk(root: Path) -> tuple[Callable[[str, bytes], None], Callable[[str], bytes]]:
    def put(path: str, content: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return put, lambda path: (root / path).read_bytes()


@pytest.fixture(params=["managed", "sftp", "s3"])
def case(request: pytest.FixtureRequest, harbour: Harbour, tmp_path: Path) -> Case:
    if request.param == "managed":
        return Case(harbour, MANAGED, *on_disk(harbour.home))
    if request.param == "sftp":
        peer: peers.Sshd = request.getfixturevalue("sshd")
        root = peer.root / tmp_path.name
        root.mkdir()
        server = harbour.add(sftp_server(peer, directory=str(root)), private_key=peer.key.read_text())
        return Case(harbour, server, *on_disk(root))
    bucket: peers.Bucket = request.getfixturevalue("weed")
    access, secret = bucket.keys["operator"]
    server = harbour.add(s3_server(bucket, directory=f"/{tmp_path.name}"), access_key=access, secret_key=secret)
    store = open_bucket(server, open_secrets(harbour.state.cipher, server), harbour.log)._store

    def put(path: str, content: bytes) -> None:
        obstore.put(store, f"{tmp_path.name}/{path}", content)

    return Case(harbour, server, put, lambda path: bytes(obstore.get(store, f"{tmp_path.name}/{path}").bytes()))


def test_only_the_plain_files_of_the_directory_itself_are_listed(case: Case) -> None:
    names = ["b.csv", "a b.csv", "%41ü#+?&=.csv", ".hidden", "x.csv.filepart"]
    for name in names:
        case.put(f"upload/{name}", name.encode())
    case.put("upload/older/c.csv", b"deeper")
    case.put("upload/older/d/e.csv", b"deepest")
    found = case.harbour.use(case.server, lambda remote: remote.list("/upload"))
    assert [file.path for file in found] == sorted(f"/upload/{name}" for name in names)
    assert {file.name: file.size for file in found} == {name: len(name.encode()) for name in names}
    assert [file.path for file in case.harbour.use(case.server, lambda remote: remote.list("/upload/older/"))] == [
        "/upload/older/c.csv"
    ]


def test_a_file_is_seen_the_same_in_a_listing_and_by_itself(case: Case) -> None:
    case.put("upload/a.csv", b"abc")
    (listed,) = case.harbour.use(case.server, lambda remote: remote.list("/upload"))
    looked = case.harbour.use(case.server, lambda remote: remote.look("/upload/a.csv"))
    assert (listed.size, listed.version, listed.path) == (looked.size, looked.version, looked.path)
    assert abs((listed.modified - looked.modified).total_seconds()) < 1


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_is_fetched_whole(case: Case, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    case.put("upload/a.csv", content)
    target, steps = tmp_path / "target", []

    async def work(remote: "object") -> None:
        file = await remote.look("/upload/a.csv")  # type: ignore[attr-defined]
        await remote.fetch(file, target, steps.append)  # type: ignore[attr-defined]

    case.harbour.use(case.server, work)
    assert target.read_bytes() == content
    assert steps == sorted(steps)
    assert steps[-1] == size


@pytest.mark.parametrize("there", ["beginning", "other", "longer"])
def test_a_fetch_goes_on_behind_a_beginning_and_only_behind_one(case: Case, tmp_path: Path, there: str) -> None:
    content = os.urandom(3_000_000)
    case.put("upload/a.csv", content)
    target = tmp_path / "target"
    beginnings = {"beginning": content[:2_500_000], "other": bytes(2_500_000), "longer": content + b"more"}
    target.write_bytes(beginnings[there])
    steps: list[int] = []

    async def work(remote: "object") -> None:
        file = await remote.look("/upload/a.csv")  # type: ignore[attr-defined]
        await remote.fetch(file, target, steps.append)  # type: ignore[attr-defined]

    case.harbour.use(case.server, work)
    assert target.read_bytes() == content
    assert (min(steps) == 2_500_000) == (there == "beginning")


def test_a_file_that_changed_is_neither_fetched_nor_removed(case: Case, tmp_path: Path) -> None:
    case.put("upload/a.csv", b"abc")
    seen = case.harbour.use(case.server, lambda remote: remote.look("/upload/a.csv"))
    case.put("upload/a.csv", b"another")
    for work in (
        lambda remote: remote.fetch(seen, tmp_path / "target", lambda _: None),
        lambda remote: remote.remove(seen),
    ):
        with pytest.raises(AppError, match="changed") as refused:
            case.harbour.use(case.server, work)
        assert refused.value.code == "conflict"
    assert case.get("upload/a.csv") == b"another"


def test_a_file_is_removed(case: Case) -> None:
    for name in ("a.csv", "b.csv"):
        case.put(f"upload/{name}", b"abc")

    async def work(remote: "object") -> list[RemoteFile]:
        await remote.remove(await remote.look("/upload/a.csv"))  # type: ignore[attr-defined]
        return await remote.list("/upload")  # type: ignore[attr-defined,no-any-return]

    assert [file.name for file in case.harbour.use(case.server, work)] == ["b.csv"]
    for call in ("look", "list"):
        with pytest.raises(AppError) as refused:
            case.harbour.use(case.server, lambda remote, call=call: getattr(remote, call)("/upload/a.csv"))  # type: ignore[misc]
        assert refused.value.code == "not_found"


@pytest.mark.parametrize("size", [0, 3, 12_000_000])
def test_a_placed_file_replaces_one_and_leaves_nothing_beside(case: Case, tmp_path: Path, size: int) -> None:
    case.put("download/report.csv", b"old")
    source = tmp_path / "source"
    source.write_bytes(content := os.urandom(size))

    async def work(remote: "object") -> list[RemoteFile]:
        await remote.place(source, "/download", "report.csv")  # type: ignore[attr-defined]
        await remote.place(source, "/download", "second.csv")  # type: ignore[attr-defined]
        return await remote.list("/download")  # type: ignore[attr-defined,no-any-return]

    assert [file.name for file in case.harbour.use(case.server, work)] == ["report.csv", "second.csv"]
    assert case.get("download/report.csv") == case.get("download/second.csv") == content


def test_a_missing_directory_is_named_and_not_made(case: Case, tmp_path: Path) -> None:
    case.put("download/there.csv", b"x")
    (tmp_path / "source").write_bytes(b"x")
    seen = [case.harbour.use(case.server, lambda remote, d=d: remote.has_directory(d)) for d in ("/download", "/none")]  # type: ignore[misc]
    assert seen == [True, False]
    for work in (lambda r: r.place(tmp_path / "source", "/none", "a.csv"), lambda r: r.list("/none")):
        with pytest.raises(AppError, match="/none") as refused:
            case.harbour.use(case.server, work)
        assert refused.value.code == "not_found"
    assert not case.harbour.use(case.server, lambda remote: remote.has_directory("/none"))


@pytest.mark.parametrize("path", ["/upload/../../x", "/../x", "/upload/a\0b"])
def test_no_path_leads_out(case: Case, tmp_path: Path, path: str) -> None:
    (tmp_path / "source").write_bytes(b"x")
    for work in (
        lambda remote: remote.list(path),
        lambda remote: remote.look(path),
        lambda remote: remote.place(tmp_path / "source", path, "x"),
    ):
        with pytest.raises(AppError) as refused:
            case.harbour.use(case.server, work)
        assert refused.value.code == "invalid"


def test_the_servers_own_directory_is_above_all_others(case: Case) -> None:
    case.put("upload/court/a.csv", b"abc")
    directory = f"{case.server.directory.rstrip('/')}/upload"
    if case.server is MANAGED:
        inner = case.harbour.add(replace(MANAGED, id="m2", name="m2", directory=directory))
    else:
        inner = replace(case.server, id=case.server.id, directory=directory)
        with case.harbour.state.database.writing() as conn:
            from server.remotes import store

            store.update_server(conn, inner)
    assert [file.path for file in case.harbour.use(inner, lambda remote: remote.list("/court"))] == ["/court/a.csv"]
