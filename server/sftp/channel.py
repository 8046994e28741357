"""One channel of a connection: SFTP for whoever may come in, or a sentence that there is nothing else."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.stream import SSHReader, SSHServerStreamSession, SSHWriter

from server.sftp.files import Files
from server.sftp.handler import Handler
from server.sftp.hotpath.channel import HotChannel
from server.sftp.hotpath.handler import HotHandler
from server.sftp.jail import Jail
from server.sftp.reception import Sender

if TYPE_CHECKING:
    from server.sftp.session import Connection

SFTP_ONLY = (
    "This server speaks SFTP only: no shell, no commands, and no old scp protocol.\n"
    "Use sftp, WinSCP or FileZilla in SFTP mode, or scp without -O (OpenSSH 9 or newer).\n"
)
GONE = (EOFError, asyncssh.Error, ConnectionError)
"""What ends a session because its client went."""


class Channel(SSHServerStreamSession[bytes]):
    """One channel: SFTP, or a sentence that there is nothing else."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(None)
        self._connection = connection
        self._handler: Handler | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed."""
        self._connection.channels -= 1
        super().connection_lost(exc)
        if isinstance(self._handler, HotHandler):
            self._handler.lost(exc)

    def eof_received(self) -> bool:
        """The client sends no more."""
        stays = super().eof_received()
        if isinstance(self._handler, HotHandler) and not self._connection_lost:  # of which it is told at once
            self._handler.no_more_input()
        return stays

    def _take_early(self) -> bytes:
        """What the stream has taken and nobody has read of it."""
        early = b"".join(data for data in self._recv_buf[None] if isinstance(data, bytes))
        self._recv_buf[None].clear()
        self._recv_buf_len = 0
        return early

    def _make_handler(self, files: Files) -> Handler:
        streams, touch = self._streams(), self._connection.touch
        if isinstance(self._chan, HotChannel):
            handler = HotHandler(files, *streams, touch, cast(Any, self._conn), self._take_early)
            if self._eof_received:  # all that it sends is here already, and nobody will say so again
                handler.no_more_input()
            if self._connection_lost:
                handler.lost(self._exception)
            return handler
        return Handler(files, *streams, touch)

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only `sftp`."""
        return subsystem == "sftp"

    def exec_requested(self, command: str) -> bool:
        """Let it in, to be told that there are no commands (a bare refusal tells a person nothing)."""
        return True

    def shell_requested(self) -> bool:
        """As with a command."""
        return True

    def session_started(self) -> None:
        """The channel is ready."""
        channel = cast(Any, self._chan)
        channel.set_encoding(None)
        self._encoding = None
        work = self._serve() if channel.get_subsystem() == "sftp" else self._say(SFTP_ONLY)
        # Not asyncssh's own task group: `drain` waits for these, since they must have torn their uploads.
        task = asyncio.get_running_loop().create_task(work)
        self._connection.tasks.add(task)
        task.add_done_callback(self._ended)

    async def _serve(self) -> None:
        connection, desk = self._connection, self._connection.desk
        account = await connection.account()
        if isinstance(account, str):
            await self._say(f"{account}\n")
            return
        jail = await desk.run(account.slug, Jail, account.home)
        log = connection.log.bind(agency=account.slug)
        sender = Sender(account.slug, connection.id, connection.client)
        files = Files(cast(Any, self._chan), desk, jail, sender, log, partial(connection.meter, account))
        try:
            self._handler = self._make_handler(files)
            await self._handler.run()
        finally:
            jail.close()  # also when the client left before its first request

    async def _say(self, sentence: str) -> None:
        """Say it where a person sees it, and end the channel as a failed command."""
        channel = cast(Any, self._chan)
        if not channel.is_closing():
            SSHWriter[bytes](self, channel, EXTENDED_DATA_STDERR).write(sentence.encode())
            channel.exit(1)

    def _streams(self) -> tuple[SSHReader[bytes], SSHWriter[bytes]]:
        channel = cast(Any, self._chan)
        return SSHReader[bytes](self, channel), SSHWriter[bytes](self, channel)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connection.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, GONE):
            self._connection.log.error("ERROR", operation="session", exc_info=error)
        if not task.cancelled() and error:
            self._connection.end("Internal error; the operator finds it in the server's log.")
        self._connection.conclude()
