"""Who may knock at all: bans and the rate of connections, asked before any of SSH's work is done for a client.

A handshake costs a core some 40 ms in the worst case, so what can be refused by its address is refused here, by looking
into memory. What addresses do wrong is collected, and settled with the other processes every other moment, in a thread
of its own: nobody who logs in waits for that.

Counted and scored is who has not shown who they are. Someone who has logged in and opens too much is told so, and
nothing more: their neighbours behind the same address are not to suffer for it. Addresses in `never_ban` (loopback,
unless set otherwise) and the load balancers themselves are not judged: many clients come from one such address, and
locking it out would lock them all out.
"""

import asyncio
import sqlite3
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from server.defence import ONE_BURST, Ban, Defence, Fault, Rules, discard_broken
from server.logs import Log
from server.networks import contains, group, parse_networks
from server.settings import Settings
from server.sftp.rates import Rates

BANNED = "Too many logins from your address have failed. It may try again later."
TOO_FAST = "Your address opens connections too fast. Wait a minute."

LOOK_EVERY = 1.0
SHORTEST_PAUSE = 0.1
MOST_PENDING = 10_000
MOST_SPOKEN_OF = 4096
SILENCE = 60.0


class Guard:
    """Belongs to the event loop of one process."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._rules = Rules.of(settings)
        self._rates = Rates(settings.run / "rates", settings.accepts_per_minute, settings.accept_burst)
        self._proxies = parse_networks(settings.proxy_networks)
        self._spared = (*parse_networks(settings.never_ban), *self._proxies)
        self._banned: dict[str, float] = {}
        self._stopping = False
        self._pending: list[tuple[str, Fault]] = []
        self._spoken_of = _Lately(SILENCE)
        self._bursts = _Lately(ONE_BURST)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="defence")
        self._defence: Defence | None = None
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._failing = False

    # What the entrance and the sessions ask and tell

    def is_proxy(self, address: str) -> bool:
        """Whether that peer is a load balancer, which must say for whom it comes."""
        return contains(self._proxies, address)

    def spares(self, address: str) -> bool:
        """Whether that address is never limited by itself."""
        return contains(self._spared, address)

    def refusal(self, address: str) -> str | None:
        """Why a new connection from that address is not even begun: a sentence, or None if it is."""
        if self.spares(address):
            return None
        name = group(address)
        if self._banned.get(name, 0) > time.time():
            self._speak_of(name, address, "banned")
            return BANNED
        if not self._rates.take(name):
            self._speak_of(name, address, "too many connections a minute")
            self.note(address, Fault.LIMIT)
            return TOO_FAST
        return None

    def note(self, address: str, fault: Fault) -> None:
        """That address did something wrong, or has logged in."""
        if self.spares(address) or len(self._pending) >= MOST_PENDING:
            return
        name = group(address)
        if fault is Fault.LIMIT and not self._bursts.is_new(name):
            return
        self._pending.append((name, fault))
        self._wake.set()

    # Its life

    async def start(self) -> None:
        """Learn who is banned, and stay up to date from now on."""
        await self._settle()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Tell the others the last, and let go."""
        if self._keeper:
            self._stopping = (
                True  # a cancellation in the moment of waking is lost (asyncio.wait_for before Python 3.12)
            )
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            await self._settle()
        self._thread.submit(self._close)
        self._thread.shutdown()
        self._rates.close()

    async def _keep(self) -> None:
        while not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY)
            await asyncio.sleep(SHORTEST_PAUSE)
            self._wake.clear()
            await self._settle()

    async def _settle(self) -> None:
        faults, self._pending = self._pending, []
        try:
            bans, new = await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, faults)
        except Exception:  # nobody is kept out because the bans cannot be read
            if not self._failing:
                self._log.exception("ERROR", operation="bans")
            self._failing = True
            return
        self._failing = False
        if bans is not None:
            self._banned = {ban.address: ban.until for ban in bans}
        for ban in new:
            self._log.warning(
                "BANNED",
                source_ip=ban.address,
                seconds=round(ban.until - ban.since),
                times=ban.times,
                reason=ban.reason,
            )

    def _exchange(self, faults: list[tuple[str, Fault]]) -> tuple[list[Ban] | None, list[Ban]]:
        """Runs in the thread: all bans, or None if they are what they were; and those that follow from `faults`."""
        try:
            if self._defence and self._defence.is_gone():
                self._close()
            self._defence = self._defence or Defence(self._settings.defence)
            new = self._defence.note(faults, self._rules) if faults else []
            self._defence.follow_clock()
            return self._defence.bans() if self._defence.changed() else None, new
        except sqlite3.Error as error:
            self._close()  # the next try opens it anew
            discard_broken(self._settings.defence, error)
            raise

    def _close(self) -> None:
        defence, self._defence = self._defence, None
        if defence:
            defence.close()

    def _speak_of(self, name: str, address: str, reason: str) -> None:
        """Log it, but not a thousand times: whoever is refused may well go on trying."""
        if self._spoken_of.is_new(f"{name} {reason}"):
            self._log.warning("REFUSED", source_ip=address, reason=reason)


class _Lately:
    """Remembers for some seconds what it was asked, and no more than `MOST_SPOKEN_OF` things."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked: OrderedDict[str, float] = OrderedDict()

    def is_new(self, name: str) -> bool:
        """Whether this was not asked within these seconds."""
        now = time.monotonic()
        if now - self._asked.get(name, -self._seconds) < self._seconds:
            return False
        self._asked[name] = now
        self._asked.move_to_end(name)
        if len(self._asked) > MOST_SPOKEN_OF:
            self._asked.popitem(last=False)
        return True
