"""Buckets: thousands of keys, rights that are missing, wires that are cut, and endpoints that are none."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote_plus, urlsplit
from xml.sax.saxutils import escape

import obstore
import pytest

from server.errors import AppError
from server.remotes.listing import Access, read_page
from server.remotes.port import Remote, RemoteFile
from server.remotes.reach import open_secrets
from server.remotes.s3 import open_bucket
from server.remotes.server import Server
from tests import peers
from tests.server.remotes.conftest import Harbour, fetching, s3_server

pytestmark = pytest.mark.sqlite_only

MANY = 5000


def with_keys(harbour: Harbour, server: Server, keys: tuple[str, str]) -> Server:
    return harbour.add(server, access_key=keys[0], secret_key=keys[1])


def raw_store(harbour: Harbour, server: Server) -> Any:
    return open_bucket(server, open_secrets(harbour.state.cipher, server), harbour.log)._store


def test_five_thousand_keys_come_in_pages_and_folders_between_cost_little(harbour: Harbour, weed: peers.Bucket) -> None:
    server = with_keys(harbour, s3_server(weed, directory="/many", timeout=20.0), weed.keys["operator"])
    store = raw_store(harbour, server)
    names = [f"file-{number:05}.csv" for number in range(MANY)]
    deep = [f"file-02500-old/{number:04}.csv" for number in range(1500)] + [
        f"archive/{n % 3}/{n}.csv" for n in range(30)
    ]

    async def fill() -> None:
        gate = asyncio.Semaphore(64)

        async def put(name: str) -> None:
            async with gate:
                await obstore.put_async(store, f"many/{name}", b"x")

        await asyncio.gather(*map(put, [*names, *deep]))

    asyncio.run(fill())
    with peers.wire(weed.port) as wire:
        through = with_keys(
            harbour, s3_server(weed, port=wire.port, directory="/many", timeout=20.0), weed.keys["operator"]
        )
        found = harbour.use(through, lambda remote: remote.list("/"))
    assert [file.name for file in found] == names
    one = harbour.use(server, lambda remote: remote.list("/file-02500-old"))
    assert len(one) == 1500


@pytest.mark.parametrize(
    ("identity", "bucket", "code", "said"),
    [
        ("reader", "court", "denied", "s3:DeleteObject"),
        ("wrong", "court", "denied", "the secret key is wrong"),
        ("nobody", "court", "denied", "does not know the access key"),
        ("operator", "no-such-bucket", "not_found", "There is no bucket no-such-bucket"),
    ],
)
def test_what_a_bucket_refuses_is_told(
    harbour: Harbour, weed: peers.Bucket, tmp_path: Path, identity: str, bucket: str, code: str, said: str
) -> None:
    operator = with_keys(harbour, s3_server(weed, directory="/rights"), weed.keys["operator"])
    obstore.put(raw_store(harbour, operator), "rights/a.csv", b"abc")
    seen = harbour.use(operator, lambda remote: remote.look("/a.csv"))
    keys = {**weed.keys, "wrong": (weed.keys["operator"][0], "wrong"), "nobody": ("AKNOBODY", "wrong")}[identity]
    server = with_keys(harbour, s3_server(weed, directory="/rights", bucket=bucket), keys)

    async def work(remote: Remote) -> None:
        await remote.list("/")
        await remote.remove(seen)

    with pytest.raises(AppError) as refused:
        harbour.use(server, work)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert not any(key in str(refused.value) for key in keys if len(key) > 6)
    assert harbour.use(operator, lambda remote: remote.look("/a.csv")) == seen


def test_a_download_from_a_bucket_that_is_cut_goes_on_where_it_was(
    harbour: Harbour, weed: peers.Bucket, tmp_path: Path
) -> None:
    content, target = os.urandom(6_000_000), tmp_path / "target"
    operator = with_keys(harbour, s3_server(weed, directory="/cut"), weed.keys["operator"])
    obstore.put(raw_store(harbour, operator), "cut/large.csv", content)
    starts: list[int] = []
    work = fetching("/large.csv", target, starts)

    with peers.wire(weed.port) as wire:
        server = with_keys(harbour, s3_server(weed, port=wire.port, directory="/cut"), weed.keys["operator"])
        wire.cut_after = 2_000_000
        with pytest.raises(AppError) as refused:
            harbour.use(server, work)
        assert refused.value.code == "unavailable"
        wire.reset()
        harbour.use(server, work)
    assert target.read_bytes() == content
    assert starts[0] == 0
    assert starts[1] > 500_000


@dataclass
class Trick:
    """How an endpoint misbehaves."""

    keys: list[str] = field(default_factory=list)
    endless: bool = False
    size: int = 3
    body: bytes = b"abc"
    status: int = 200
    milliseconds: str = "000"
    missing: list[str] = field(default_factory=list)
    level: bytes = b""
    dripping: bool = False
    asked: int = 0
    posted: int = 0
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def endpoint(trick: Trick) -> Iterator[int]:
    """Something that answers like a bucket; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            trick.asked += 1
            listing = "list-type=2" in self.path
            if trick.dripping and "encoding-type" in self.path:
                self.drip()
            else:
                self.answer(self.listed() if listing else trick.body, listing)

        def drip(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.stamp()
            with suppress(OSError):
                while not trick.over.wait(0.1):
                    self.wfile.write(b" ")

        def do_HEAD(self) -> None:
            self.send_response(404 if self.path.removeprefix("/court/") in trick.missing else 200)
            self.send_header("Content-Length", str(trick.size))
            self.stamp()

        def do_PUT(self) -> None:
            trick.over.wait(20)

        def do_POST(self) -> None:
            trick.posted += 1
            trick.over.wait(20)

        def listed(self) -> bytes:
            keys = [f"in/{trick.asked:06}-{number}" for number in range(1000)] if trick.endless else trick.keys
            asked = dict(parse_qsl(urlsplit(self.path).query))
            if "encoding-type" in asked:
                return self.level(asked, keys)
            entries = "".join(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.{trick.milliseconds}Z"
                f"</LastModified>"
                f"<ETag>&quot;x&quot;</ETag><Size>{trick.size}</Size></Contents>"
                for key in keys
            )
            more = f"<NextContinuationToken>{trick.asked}</NextContinuationToken>" if trick.endless else ""
            head = f"<IsTruncated>{str(trick.endless).lower()}</IsTruncated>"
            return f"<ListBucketResult>{head}{more}{entries}</ListBucketResult>".encode()

        def level(self, asked: dict[str, str], keys: list[str]) -> bytes:
            """As Amazon answers with a delimiter, two things to a page."""
            begin, cut = asked["prefix"], asked.get("delimiter")
            below = sorted(key[len(begin) :] for key in keys if key.startswith(begin))
            things = list(dict.fromkeys(key[: key.index(cut) + 1] if cut and cut in key else key for key in below))
            at = int(asked.get("continuation-token", 0))
            text = "<EncodingType>url</EncodingType>"
            if len(things) > at + 2:
                text += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{at + 2}</NextContinuationToken>"
            for thing in things[at : at + 2]:
                key = quote_plus(begin + thing, safe="/")
                if cut and thing.endswith(cut):
                    text += f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
                else:
                    text += f"<Contents><ETag>&quot;x&quot;</ETag><Key>{key}</Key><Size>{trick.size}</Size>"
                    text += f"<LastModified>2026-01-01T00:00:00.{trick.milliseconds}Z</LastModified></Contents>"
            return trick.level or f"<ListBucketResult>{text}</ListBucketResult>".encode()

        def answer(self, body: bytes, listing: bool) -> None:
            self.send_response(trick.status if listing or trick.status != 200 else 206)
            self.send_header("Content-Length", str(len(body)))
            if not listing:
                self.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{trick.size}")
            self.stamp()
            self.wfile.write(body)

        def stamp(self) -> None:
            self.send_header("ETag", '"x"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        trick.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def hostile(harbour: Harbour, port: int, **values: Any) -> Server:
    peer = peers.Bucket(port, {})
    return with_keys(harbour, replace(s3_server(peer, timeout=2.0), **values), ("AKTEST", "secret"))


ODD = ["in/../../etc/passwd", "in//double.csv", "in/./dot.csv", "in/line\nbreak.csv"]
HARMLESS = ["in/" + "x" * 300, "in/", "elsewhere/x"]


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_an_odd_key_is_named_and_hides_no_other(harbour: Harbour, tmp_path: Path, odd: int) -> None:
    async def work(remote: Remote) -> list[RemoteFile]:
        found = await remote.list("/in")
        good = next(file for file in found if file.name == "good + 1.csv")
        assert good == await remote.look("/in/good + 1.csv")
        await remote.fetch(good, tmp_path / "target", lambda _: None)
        assert await remote.has_directory("/in")
        return found

    keys = [ODD[odd], "in/a.csv", "in/good + 1.csv", "in/sub//deep.csv", "in/sub/deep.csv", "in/z.csv"]
    with endpoint(Trick(keys=keys, milliseconds="123")) as port:
        found = harbour.use(hostile(harbour, port), work)
    named = {file.path: file.oddity for file in found}
    assert [path for path, why in named.items() if not why] == ["/in/a.csv", "/in/good + 1.csv", "/in/z.csv"]
    assert [path for path, why in named.items() if why] == [f"/{ODD[odd]}".replace("\n", "?")]


@pytest.mark.parametrize(
    "level",
    [
        b"<no listing",
        b"<a/>" * 2,
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<a><Contents><Key>in/x</Key></Contents></a>",
    ],
    ids=["cut", "two", "entity", "bare"],
)
def test_an_odd_key_is_an_error_where_nothing_else_can_be_listed(harbour: Harbour, level: bytes) -> None:
    with endpoint(Trick(keys=[ODD[1], "in/good.csv"], level=level)) as port, pytest.raises(AppError) as refused:
        harbour.use(hostile(harbour, port), lambda remote: remote.list("/in"))
    assert refused.value.code == "invalid"
    assert refused.value.message.endswith(ODD[1])


def test_a_real_bucket_takes_the_request_that_lists_one_level(harbour: Harbour, weed: peers.Bucket) -> None:
    server = with_keys(harbour, s3_server(weed, directory="/level one"), weed.keys["operator"])
    store = raw_store(harbour, server)
    for name in ("a + b.csv", "ä.csv", "sub/c.csv"):
        obstore.put(store, f"level one/{name}", b"abc")
    page = read_page(server, Access(*weed.keys["operator"]), 5.0, "level one/")
    assert [entry.key for entry in page.entries] == ["level one/a + b.csv", "level one/ä.csv"]
    assert page.folders == ("level one/sub/",)
    seen = obstore.head(store, "level one/ä.csv")
    assert (page.entries[1].size, page.entries[1].tag) == (3, seen["e_tag"])
    with pytest.raises(HTTPError, match="403"):
        read_page(server, Access(weed.keys["operator"][0], "wrong"), 5.0, "level one/")


@contextmanager
def dripping(begin: bytes) -> Iterator[int]:
    """Something that answers with `begin`, then with a blank ten times a second; its port."""
    over = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with suppress(OSError):
                self.request.sendall(begin)
                while not over.wait(0.1):
                    self.request.sendall(b" ")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "begin",
    [
        OK + b"Content-Length: 100000\r\n\r\n<a>",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\n<a>\r\n",
        OK + b"X: ",
        b"",
    ],
    ids=["body", "chunks", "head", "line"],
)
def test_an_answer_that_comes_byte_by_byte_holds_no_thread(harbour: Harbour, begin: bytes) -> None:
    began = time.monotonic()
    with dripping(begin) as port, pytest.raises(TimeoutError):
        read_page(hostile(harbour, port, timeout=0.5), Access("AKTEST", "secret"), 1.0, "in/")
    assert 0.9 < time.monotonic() - began < 3


def test_a_bucket_that_lists_byte_by_byte_is_given_up(harbour: Harbour) -> None:
    begun = time.monotonic()
    with (
        endpoint(Trick(keys=[ODD[1]], dripping=True)) as port,
        pytest.raises(AppError, match="did not answer") as refused,
    ):
        harbour.use(hostile(harbour, port, timeout=0.5), lambda remote: remote.list("/in"))
    assert refused.value.code == "unavailable"
    assert time.monotonic() - begun < 5  # and no thread is left, for which the end of the loop waits


def test_keys_that_are_no_files_of_the_directory_are_left_out(harbour: Harbour) -> None:
    with endpoint(Trick(keys=[*HARMLESS, "in/good.csv"])) as port:
        found = harbour.use(hostile(harbour, port), lambda remote: remote.list("/in"))
    assert [file.path for file in found] == ["/in/good.csv"]


def test_milliseconds_of_a_listing_make_no_other_file(harbour: Harbour, tmp_path: Path) -> None:
    async def work(remote: Remote) -> None:
        [file] = await remote.list("/in")
        assert file == await remote.look("/in/a.csv")
        await remote.fetch(file, tmp_path / "target", lambda _: None)

    with endpoint(Trick(keys=["in/a.csv"], milliseconds="123")) as port:
        harbour.use(hostile(harbour, port), work)
    assert (tmp_path / "target").read_bytes() == b"abc"


def test_a_marker_of_a_folder_is_no_file(harbour: Harbour) -> None:
    trick = Trick(keys=["in/empty.csv", "in/sub/"], size=0, missing=["in/sub"])
    with endpoint(trick) as port:
        found = harbour.use(hostile(harbour, port), lambda remote: remote.list("/in"))
    assert [file.path for file in found] == ["/in/empty.csv"]


def test_many_folders_come_with_one_request(harbour: Harbour) -> None:
    trick = Trick(keys=[*(f"in/case-{number:05}/x.pdf" for number in range(300)), "in/z.csv"])
    with endpoint(trick) as port:
        found = harbour.use(hostile(harbour, port), lambda remote: remote.list("/in"))
    assert [file.path for file in found] == ["/in/z.csv"]
    assert trick.asked == 1


def test_a_key_that_cannot_be_read_is_no_bucket_that_is_away(harbour: Harbour, tmp_path: Path) -> None:
    async def work(remote: Remote) -> None:
        await remote.fetch(await remote.look("/in/a.csv"), tmp_path / "target", lambda _: None)

    with endpoint(Trick(status=500)) as port, pytest.raises(AppError, match=r"/in/a\.csv") as refused:
        harbour.use(hostile(harbour, port, timeout=0.5), work)
    assert refused.value.code == "invalid"


@pytest.mark.parametrize("size", [3, 12_000_000, 20_000_000])
def test_a_bucket_that_takes_nothing_is_given_up(
    harbour: Harbour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("server.remotes.s3.SLOWEST", 2**40)
    (tmp_path / "report.csv").write_bytes(b"x" * size)
    trick = Trick(keys=["in/a.csv"])
    begun = time.monotonic()
    with endpoint(trick) as port, pytest.raises(AppError) as refused:
        harbour.use(
            hostile(harbour, port, timeout=0.3), lambda remote: remote.place(tmp_path / "report.csv", "/in", "r")
        )
    assert refused.value.code == "unavailable"
    assert time.monotonic() - begun < 10
    assert bool(trick.posted) == (size > 16 * 1024 * 1024)  # parts of what is given up would stay there


def test_pages_without_an_end_are_given_up(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.remotes.s3.MOST_FILES", 3000)
    trick = Trick(endless=True)
    with endpoint(trick) as port, pytest.raises(AppError, match="more than"):
        harbour.use(hostile(harbour, port), lambda remote: remote.list("/in"))
    assert trick.asked < 10


@pytest.mark.parametrize("told", [2, 5_000_000, 2**63])
def test_a_lie_about_an_objects_size_is_never_a_whole_file(harbour: Harbour, tmp_path: Path, told: int) -> None:
    target = tmp_path / "target"

    async def work(remote: Remote) -> None:
        await remote.fetch(await remote.look("/in/a.csv"), target, lambda _: None)

    with endpoint(Trick(size=told)) as port, pytest.raises(AppError) as refused:
        harbour.use(hostile(harbour, port), work)
    assert refused.value.code in ("conflict", "unavailable")
    assert target.stat().st_size <= 3


@pytest.mark.parametrize("status", [301, 400, 403, 404, 500, 503])
def test_answers_without_a_reason_are_sentences(harbour: Harbour, status: int) -> None:
    with endpoint(Trick(status=status)) as port, pytest.raises(AppError) as refused:
        harbour.use(hostile(harbour, port, timeout=0.5), lambda remote: remote.list("/in"))
    assert refused.value.hint
    assert "secret" not in str(refused.value)


def test_a_mute_endpoint_is_given_up_in_time(harbour: Harbour) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async def run() -> None:
        listener = await asyncio.start_server(mute, "127.0.0.1", 0)
        server = hostile(harbour, listener.sockets[0].getsockname()[1], timeout=0.5)
        remote = open_bucket(server, open_secrets(harbour.state.cipher, server), harbour.log)
        await remote.list("/in")

    begun = time.monotonic()
    with pytest.raises(AppError, match="did not answer") as refused:
        asyncio.run(run())
    assert refused.value.code == "unavailable"
    assert time.monotonic() - begun < 20


def test_the_environment_says_nothing_about_a_server(
    harbour: Harbour, weed: peers.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "stolen",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_BUCKET": "other",
    }.items():
        monkeypatch.setenv(name, value)
    server = with_keys(harbour, s3_server(weed), weed.keys["operator"])
    assert harbour.use(server, lambda remote: remote.has_directory("/"))
