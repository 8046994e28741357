"""A distance on loopback: passes a TCP connection on, every byte so much later, as many at a time as there come."""

import asyncio
from functools import partial
from multiprocessing.connection import Connection

import uvloop

from bench.peers import LOOPBACK

PIECE = 1024 * 1024


def relay(pipe: Connection, port: int, delay: float) -> None:
    """Listen, say on which port, and pass on to `port`, `delay` seconds later each way, until the process is ended."""
    uvloop.run(_relay(pipe, port, delay))


async def _relay(pipe: Connection, port: int, delay: float) -> None:
    server = await asyncio.start_server(partial(_join, port, delay), LOOPBACK, 0, limit=PIECE)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _join(port: int, delay: float, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    far, there = await asyncio.open_connection(LOOPBACK, port, limit=PIECE)
    await asyncio.gather(_carry(near, there, delay), _carry(far, back, delay), return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Carry one direction. What is under way is held here, however much it is: bandwidth is not limited."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)

    delivering = loop.create_task(deliver())
    try:
        while data := await reader.read(PIECE):
            under_way.put_nowait((loop.time() + delay, data))
    finally:
        under_way.put_nowait((loop.time() + delay, b""))
        await delivering
        writer.close()
