"""The objects of a bucket (Amazon S3, GovCloud, or anything that speaks its protocol), reached with obstore.

A directory is a prefix of keys; what lies in it are the keys below it without another `/`. Everything obstore would
else take from the environment (`AWS_...`) is said explicitly, so that a server's keys go to that server alone.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

from keys.secret import Secret
from server.errors import AppError, Code
from server.logs import Log
from server.remotes.buckets import endpoint_of, refusal
from server.remotes.landing import land
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
SLOWEST = 64 * 1024  # bytes a second at which a part must get away
LAST = "\U0010ffff"  # sorts behind every other name
RETRIES = 2
HEADS = 16  # keys that are asked for at once


class S3Remote:
    """A bucket; see `Remote` for what each call does."""

    def __init__(self, server: Server, store: S3Store, slow_store: S3Store, log: Log) -> None:
        """`slow_store` is the same with a timeout for requests that carry much."""
        self._server = server
        self._slow_timeout = _slow_timeout(server)
        self._store = store
        self._slow_store = slow_store
        self._log = log

    async def list(self, directory: str) -> list[RemoteFile]:
        """See `Remote`."""
        prefix = self._key(directory)
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
        if left_out:
            self._log.warning(
                "names left out that cannot be used", server=self._server.name, directory=directory, names=left_out
            )
        if not found and not await self.has_directory(directory):
            raise missing(directory)
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
            raise missing(directory)
        path = normal(directory, name)
        limit = self._slow_timeout * (1 + RETRIES)
        large = await asyncio.to_thread(os.path.getsize, source) > PART
        with _translated(self._server, path, one_key=True):
            async with asyncio.timeout(limit) as deadline:
                given: Any = _parts(source, deadline, limit) if large else source  # each part has the time again
                await obstore.put_async(self._slow_store, self._key(path), given, chunk_size=PART, max_concurrency=2)

    async def remove(self, file: RemoteFile) -> None:
        """See `Remote`."""
        check_same(file, await self.look(file.path))
        async with self._patience(file.path):
            await obstore.delete_async(self._store, self._key(file.path))

    async def has_directory(self, directory: str) -> bool:
        """See `Remote`."""
        prefix = self._key(directory)
        stream = obstore.list(self._store, prefix or None, chunk_size=1)
        async with self._patience(directory, one_key=False):
            page = await anext(stream, None)
        return bool(page) or not prefix

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
            async with asyncio.timeout(self._server.timeout * (1 + RETRIES)):
                yield

    def _key(self, path: str) -> str:
        return "/".join((*parts_of(self._server.directory), *parts_of(path)))


def open_bucket(server: Server, secrets: dict[SecretField, Secret], log: Log) -> S3Remote:
    """The server's bucket; nothing is asked yet. Raises `AppError` invalid for what cannot be reached as configured."""
    missing_keys = [field for field in (SecretField.ACCESS_KEY, SecretField.SECRET_KEY) if field not in secrets]
    if missing_keys:
        raise AppError(
            Code.INVALID,
            f"The server {server.name} has no access key or no secret key.",
            f"Give both: dropslot server edit {server.name} --access-key-file FILE --secret-key-file FILE",
        )
    slow_store = _store(server, secrets, _slow_timeout(server))
    return S3Remote(server, _store(server, secrets, server.timeout), slow_store, log)


def _slow_timeout(server: Server) -> float:
    """Seconds in which a request that carries a part is answered."""
    return server.timeout + PART / SLOWEST


async def _parts(source: Path, deadline: asyncio.Timeout, limit: float) -> AsyncGenerator[bytes, None]:
    """The bytes of `source`; who comes for more of them has `limit` seconds from then on."""
    with source.open("rb") as given:
        while block := await asyncio.to_thread(given.read, PART):
            deadline.reschedule(asyncio.get_running_loop().time() + limit)
            yield block


def _store(server: Server, secrets: dict[SecretField, Secret], read_timeout: float) -> S3Store:
    access, secret = (secrets[field].reveal().decode() for field in (SecretField.ACCESS_KEY, SecretField.SECRET_KEY))
    endpoint = endpoint_of(server)

    def credentials() -> "S3Credential":  # so that no session token of the environment is sent along with plain keys
        return {"access_key_id": access, "secret_access_key": secret, "expires_at": None}

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
    modified = meta["last_modified"].replace(microsecond=0)
    return RemoteFile(path, min(int(meta["size"]), MOST_BYTES), modified, meta["e_tag"] or "")
