"""The objects of a bucket (Amazon S3, GovCloud, or anything that speaks its protocol), reached with obstore.

A directory is a prefix of keys; what lies in it are the keys below it without another `/`. Everything obstore would
else take from the environment (`AWS_...`) is said explicitly, so that a server's keys go to that server alone.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

from keys.secret import Secret
from server.errors import AppError, Code
from server.logs import Log
from server.remotes.buckets import OddKeyError, endpoint_of, refusal, show_key
from server.remotes.landing import land
from server.remotes.listing import Access, Page, read_page
from server.remotes.places import (
    MOST_BYTES,
    MOST_FILES,
    changed,
    check_same,
    crowded,
    missing,
    normal,
    parts_of,
    read_name,
)
from server.remotes.port import Progress, RemoteFile
from server.remotes.server import SecretField, Server

if TYPE_CHECKING:
    from obstore.store import S3Credential

PAGE = 1000  # keys of one answer (S3 gives no more)
BLOCK = 64 * 1024  # small, for slow lines: as soon as so much has come, it is handed on
PART = 5 * 1024 * 1024  # the least that S3 takes as a part of a larger object
WHOLE = 16 * 1024 * 1024  # up to so much is sent as one
SLOWEST = 64 * 1024  # bytes a second at which what is sent must get away
LAST = "\U0010ffff"  # sorts behind every other name
RETRIES = 2
HEADS = 16  # keys that are asked for at once
ODD_FOLDERS = ("/", "./", "../")
SHOWN = 20  # keys that are named of an odd folder


class S3Remote:
    """A bucket; see `Remote` for what each call does."""

    def __init__(self, server: Server, access: Access, log: Log) -> None:
        self._server = server
        self._access = access
        self._store = _store(server, access, server.timeout)
        self._slow_store = _store(server, access, _patient(server, PART))  # for requests that carry much
        self._longest = server.timeout * (1 + RETRIES)  # seconds until there is an answer
        self._log = log

    async def list(self, directory: str) -> list[RemoteFile]:
        """See `Remote`."""
        prefix = self._key(directory)
        try:
            found, left_out = await self._all(prefix, directory)
        except OddKeyError as odd:
            found, left_out = await self._level(prefix, directory, odd)
        if left_out:
            self._log.warning(
                "names left out that cannot be used", server=self._server.name, directory=directory, names=left_out
            )
        if not found and not await self.has_directory(directory):
            raise self._missing(directory)
        return sorted(found.values(), key=lambda file: file.path)

    async def look(self, path: str) -> RemoteFile:
        """See `Remote`."""
        async with self._patience(path):
            meta = await obstore.head_async(self._store, self._key(path))
        return _described(normal(path), meta)

    async def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        """See `Remote`."""
        check_same(file, await self.look(file.path))
        await land(file, target, progress, lambda at: self._blocks(file, at))

    async def place(self, source: Path, directory: str, name: str) -> None:
        """See `Remote`."""
        if not await self.has_directory(directory):
            raise self._missing(directory)
        path = normal(directory, name)
        size = await asyncio.to_thread(os.path.getsize, source)
        with _translated(self._server, path, one_key=True):
            await (self._put_parts(source, path) if size > WHOLE else self._put_whole(source, path, size))

    async def remove(self, file: RemoteFile) -> None:
        """See `Remote`."""
        check_same(file, await self.look(file.path))
        async with self._patience(file.path):
            await obstore.delete_async(self._store, self._key(file.path))

    async def has_directory(self, directory: str) -> bool:
        """See `Remote`."""
        prefix = self._key(directory)
        stream = obstore.list(self._store, prefix or None, chunk_size=1)
        try:
            async with self._patience(directory, one_key=False):
                page = await anext(stream, None)
        except OddKeyError:  # it has that prefix
            return True
        return bool(page) or not prefix

    async def _put_whole(self, source: Path, path: str, size: int) -> None:
        """With one request: what is cut off leaves nothing there."""
        seconds = _patient(self._server, size)
        store = _store(self._server, self._access, seconds)
        async with asyncio.timeout(seconds * (1 + RETRIES)):
            await obstore.put_async(store, self._key(path), source, use_multipart=False)

    async def _put_parts(self, source: Path, path: str) -> None:
        """In parts, each with its own time. The library cannot take back those of an upload that is cut off: the
        bucket's own rule for incomplete uploads has to."""
        limit = _patient(self._server, PART) * (1 + RETRIES)
        async with asyncio.timeout(limit) as deadline:
            given: Any = _parts(source, deadline, limit)
            await obstore.put_async(self._slow_store, self._key(path), given, chunk_size=PART, max_concurrency=2)

    async def _all(self, prefix: str, directory: str) -> tuple[dict[str, RemoteFile], int]:
        """The files by path, and how many names cannot be used. Raises `OddKeyError`."""
        found: dict[str, RemoteFile] = {}
        left_out = 0
        async with aclosing(self._entries(prefix, directory)) as entries:
            async for key, meta in entries:
                name = read_name(key.encode())
                left_out += name is None
                if name is not None:
                    path = normal(directory, name)
                    found[path] = _described(path, meta)
        for path in await self._markers([file.path for file in found.values() if not file.size]):
            del found[path]
        return found, left_out

    async def _level(self, prefix: str, directory: str, odd: OddKeyError) -> tuple[dict[str, RemoteFile], int]:
        """The same where the library fails because of an odd key; what cannot be used is among the files. Raises `odd`
        if that fails too."""
        found: dict[str, RemoteFile] = {}
        left_out, more, begin = 0, "", f"{prefix}/" if prefix else ""
        while True:
            page = await self._page(directory, begin, more, odd)
            for entry in page.entries:
                key = entry.key[len(begin) :]
                name = read_name(key.encode()) if key else ""
                if name:
                    path = normal(directory, name)
                    told = {"last_modified": entry.modified, "size": entry.size, "e_tag": entry.tag}
                    found[path] = _described(path, told)
                elif name is None:
                    left_out += 1
                    found |= _odd(directory, key)
            for folder in page.folders:
                if folder[len(begin) :] in ODD_FOLDERS:
                    below = await self._page(directory, folder, "", odd, deep=True)
                    for entry in below.entries[:SHOWN]:
                        found |= _odd(directory, entry.key[len(begin) :])
            if len(found) > MOST_FILES:
                raise crowded(directory)
            if not page.more or page.more == more:
                return found, left_out
            more = page.more

    async def _page(self, directory: str, begin: str, more: str, odd: OddKeyError, deep: bool = False) -> Page:
        async with self._patience(directory, one_key=False):
            try:
                return await asyncio.to_thread(read_page, self._server, self._access, self._longest, begin, more, deep)
            except TimeoutError:
                raise
            except (OSError, ValueError, HTTPException):
                raise odd from None

    async def _entries(self, prefix: str, directory: str) -> AsyncGenerator[tuple[str, Any], None]:
        """Names that lie in `prefix` itself, with what is known of each.

        Folders below it come along in the pages. A page that ends within one is the last before its end: the listing
        goes on behind the folder, however many keys that has.
        """
        behind: str | None = None
        passed: set[str] = set()
        number = 0
        while True:
            stream = obstore.list(self._store, prefix or None, offset=behind, chunk_size=PAGE)
            behind = None
            while behind is None:
                async with self._patience(directory, one_key=False):
                    page = await anext(stream, None)
                if page is None:
                    return
                fresh, inside = 0, ""
                for meta in page:
                    name, slash, _ = meta["path"][len(prefix) :].removeprefix("/").partition("/")
                    inside = name if slash else ""
                    if not slash and name:
                        fresh += 1
                        yield name, meta
                    elif name and name not in passed:
                        fresh += 1
                        passed.add(name)
                        behind = "/".join(part for part in (prefix, name, LAST) if part)
                if not inside or len(page) < PAGE:
                    behind = None
                # A page with nothing new counts in full, so that one that comes for ever is given up too.
                number += fresh or len(page)
                if number > MOST_FILES:
                    raise crowded(directory)

    async def _markers(self, paths: Sequence[str]) -> Sequence[str]:
        """Those of the empty files that are none: the library shows the key `in/sub/`, which stands for a folder, as
        `in/sub`, and there is no such key."""
        gate = asyncio.Semaphore(HEADS)

        async def is_marker(path: str) -> bool:
            async with gate:
                try:
                    await self.look(path)
                except AppError as error:
                    if error.code is Code.UNAVAILABLE:
                        raise
                    return error.code is Code.NOT_FOUND
                return False

        answers = await asyncio.gather(*map(is_marker, paths))
        return [path for path, marker in zip(paths, answers, strict=True) if marker]

    async def _blocks(self, file: RemoteFile, at: int) -> AsyncGenerator[bytes, None]:
        if at >= file.size:
            return
        options: Any = {"range": (at, file.size)}
        if file.version:
            options["if_match"] = file.version
        async with self._patience(file.path):
            answer = await obstore.get_async(self._slow_store, self._key(file.path), options=options)
        if answer.range[0] != at:
            raise changed(file.path)
        blocks = aiter(answer.stream(min_chunk_size=BLOCK))
        while True:
            async with self._patience(file.path):
                block = await anext(blocks, None)
            if block is None:
                return
            yield bytes(block)

    @asynccontextmanager
    async def _patience(self, path: str, one_key: bool = True) -> AsyncIterator[None]:
        """Wait for one answer; errors are `AppError`s that name `path`. The library tries again what may be tried."""
        with _translated(self._server, path, one_key):
            async with asyncio.timeout(self._longest):
                yield

    def _missing(self, directory: str) -> AppError:
        error, key = missing(directory), self._key(directory)
        return AppError(error.code, f"{error.message} No key of the bucket begins with {key}/.", error.hint)

    def _key(self, path: str) -> str:
        return "/".join((*parts_of(self._server.directory), *parts_of(path)))


def open_bucket(server: Server, secrets: dict[SecretField, Secret], log: Log) -> S3Remote:
    """The server's bucket, whose two keys are among the `secrets`; nothing is asked yet."""
    access, secret = (secrets[field].reveal().decode() for field in (SecretField.ACCESS_KEY, SecretField.SECRET_KEY))
    return S3Remote(server, Access(access, secret), log)


def _patient(server: Server, size: int) -> float:
    """Seconds in which a request that carries so many bytes is answered."""
    return server.timeout + size / SLOWEST


async def _parts(source: Path, deadline: asyncio.Timeout, limit: float) -> AsyncGenerator[bytes, None]:
    """The bytes of `source`; who comes for more of them has `limit` seconds from then on."""
    with source.open("rb") as given:
        while block := await asyncio.to_thread(given.read, PART):
            deadline.reschedule(asyncio.get_running_loop().time() + limit)
            yield block


def _store(server: Server, access: Access, read_timeout: float) -> S3Store:
    endpoint = endpoint_of(server)

    def credentials() -> "S3Credential":  # so that no session token of the environment is sent along with plain keys
        return {"access_key_id": access.access_key, "secret_access_key": access.secret_key, "expires_at": None}

    return S3Store(
        server.bucket,
        credential_provider=credentials,
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region=server.region or "us-east-1",
        virtual_hosted_style_request=not server.path_style,
        skip_signature=False,
        s3_express=False,
        unsigned_payload=False,
        request_payer=False,
        disable_bulk_delete=True,
        client_options={
            "allow_http": server.plain_http,
            "allow_invalid_certificates": False,
            "connect_timeout": timedelta(seconds=server.timeout),
            "read_timeout": timedelta(seconds=read_timeout),
            "timeout": timedelta(days=1),
            "user_agent": "dropslot",
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=server.timeout)},
    )


@contextmanager
def _translated(server: Server, path: str, one_key: bool) -> Iterator[None]:
    try:
        yield
    except (obstore.exceptions.BaseError, TimeoutError, OSError) as error:
        raise refusal(server, path, error, one_key) from None


def _described(path: str, meta: Any) -> RemoteFile:
    # Listings have milliseconds with some servers, the answer about one key never has (RFC 9110, section 5.6.7).
    modified = meta["last_modified"].astimezone(UTC).replace(microsecond=0)
    return RemoteFile(path, min(int(meta["size"]), MOST_BYTES), modified, meta["e_tag"] or "")


def _odd(directory: str, key: str) -> dict[str, RemoteFile]:
    """A key below the directory that cannot be used, by the path that it is told with."""
    path = f"{normal(directory).rstrip('/')}/{show_key(key)}"
    why = "Its key has '//', '.', '..' or a control character in it: it cannot be fetched. Rename it in the bucket."
    return {path: RemoteFile(path, 0, datetime.fromtimestamp(0, UTC), oddity=why)}
