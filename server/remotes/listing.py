"""One level of a bucket's keys, asked for with a request of our own: for buckets that the library cannot list.

Where one key has `//`, `.` or `..` as a folder, or a control character, the library gives no key at all of that page.
Then, and only then, the directory is listed here, one level deep (ListObjectsV2 with a delimiter; Amazon Simple Storage
Service API Reference), and the keys that cannot be used are named. Requests are signed by hand (the same, "Signature
Calculations for the Authorization Header"); the proxy is that of the environment, and redirects are not followed.
"""

import hashlib
import hmac
import io
import socket
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.parse import quote, unquote_plus, urlsplit
from xml.parsers import expat

from server.clock import now
from server.remotes.buckets import endpoint_of
from server.remotes.server import Server

MOST_BYTES = 16 * 1024 * 1024  # of one answer: a thousand keys of 1,024 bytes, each byte written with three
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Access:
    """What requests are signed with."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """An object: its whole key, its size in bytes, when it was written, and its entity tag as the server writes it."""

    key: str
    size: int
    modified: datetime
    tag: str


@dataclass(frozen=True)
class Page:
    """A part of a listing; `folders` end with `/`, `more` asks for the next part and is empty behind the last one."""

    entries: tuple[Entry, ...]
    folders: tuple[str, ...]
    more: str


def read_page(server: Server, access: Access, seconds: float, prefix: str, more: str = "", deep: bool = False) -> Page:
    """Ask for keys that begin with `prefix`; those behind another `/` as folders, unless `deep`. Blocks.

    Raises OSError if there is no such answer, or not all of it within `seconds`, ValueError if it cannot be read.
    """
    query = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
    query |= {} if deep else {"delimiter": "/"}
    query |= {"continuation-token": more} if more else {}
    until = time.monotonic() + seconds
    opener = urllib.request.build_opener(_NoRedirect, _Plain(until), _Secure(until))
    with opener.open(_request(server, access, query), timeout=server.timeout) as answer:
        body: bytes = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError("The answer is too long.")
    return _read(body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The signature is for that server and no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Answers with None: the redirect is an error."""


class _Bounded(urllib.request.AbstractHTTPHandler):
    """Opens connections whose answers are read until a moment, by the monotonic clock, and no longer."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def do_open(self, http_class: Any, req: urllib.request.Request, **arguments: Any) -> HTTPResponse:
        """Send the request over a connection of `http_class`, and read the head of the answer."""

        def connection(host: str, **given: Any) -> HTTPConnection:
            made: HTTPConnection = http_class(host, **given)
            made.response_class = self._answer  # type: ignore[assignment]  # it makes one, as the class would
            return made

        return super().do_open(connection, req, **arguments)

    def _answer(self, sock: socket.socket, *given: Any, **named: Any) -> HTTPResponse:
        return HTTPResponse(_Received(sock, self._until), *given, **named)  # type: ignore[arg-type]  # makes files


class _Plain(_Bounded, urllib.request.HTTPHandler):
    """For http."""


class _Secure(_Bounded, urllib.request.HTTPSHandler):
    """For https."""


class _Received(io.RawIOBase):
    """What a socket receives until a moment; the socket's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until
        self._raw = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What an answer asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, into: Any) -> int | None:
        """See `io.RawIOBase`. Raises TimeoutError once the moment has come."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer took too long.")
        self._sock.settimeout(min(left, self._sock.gettimeout() or left))
        return self._raw.readinto(into)

    def close(self) -> None:
        """See `io.RawIOBase`."""
        self._raw.close()
        super().close()


def _request(server: Server, access: Access, query: Mapping[str, str]) -> urllib.request.Request:
    endpoint, path = endpoint_of(server), f"/{server.bucket}" if server.path_style else "/"
    asked = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    headers = _signed(server, access, f"GET\n{path}\n{asked}", urlsplit(endpoint).netloc)
    return urllib.request.Request(f"{endpoint}{path}?{asked}", headers=headers)  # noqa: S310  https, or http as said


def _signed(server: Server, access: Access, what: str, host: str) -> dict[str, str]:
    """The headers of a request without a body; `what` is its method, path and query, as they are signed."""
    at, region = f"{now():%Y%m%dT%H%M%SZ}", server.region or "us-east-1"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": at}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    canonical = hashlib.sha256(f"{what}\n{lines}\n{names}\n{_EMPTY}".encode()).hexdigest()
    key = f"AWS4{access.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{canonical}".encode(), "sha256").hex()
    proof = f"Credential={access.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {proof}", "user-agent": "dropslot"}


class _Reader:
    """Collects what an answer says: `top` of the listing itself, and of each thing in it (by the kind of thing)."""

    def __init__(self) -> None:
        self.top: dict[str, str] = {}
        self.things: list[tuple[str, dict[str, str]]] = []
        self._depth = 0
        self._text: list[str] = []
        self._fields: dict[str, str] = {}

    def begin(self, _name: str, _attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._text = []
        if self._depth == 2:
            self._fields = {}

    def text(self, piece: str) -> None:
        self._text.append(piece)

    def end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 1:
            self.things.append((name, self._fields))
            self.top.setdefault(name, "".join(self._text))
        else:
            self._fields.setdefault(name, "".join(self._text))


def _read(body: bytes) -> Page:
    reader, parser = _Reader(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = reader.text, _refuse_entity
    try:
        parser.Parse(body, True)
        plain = unquote_plus if reader.top.get("EncodingType") == "url" else str
        entries = tuple(_entry(thing, plain(thing["Key"])) for kind, thing in reader.things if kind == "Contents")
        folders = tuple(plain(thing["Prefix"]) for kind, thing in reader.things if kind == "CommonPrefixes")
    except (expat.ExpatError, KeyError) as error:
        raise ValueError("The answer is no listing.") from error
    truncated = reader.top.get("IsTruncated") == "true"
    return Page(entries, folders, reader.top.get("NextContinuationToken", "") if truncated else "")


def _entry(thing: Mapping[str, str], key: str) -> Entry:
    modified = datetime.fromisoformat(thing["LastModified"])
    return Entry(key, int(thing["Size"]), modified, thing.get("ETag", ""))


def _refuse_entity(*_: object) -> None:
    raise ValueError("An answer has no entities of its own.")
