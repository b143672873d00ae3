"""What all open dashboards share: one tail of the facts, one look a second at workers and relays, and the
beat that tells listeners to look again.

Looks only while somebody does, and a moment longer. Never asks a worker more than once a second for the
overview, however many pages are open.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Self

from relay.doors.dashboard.outlook import Entries, Outlook, RelayWord
from relay.doors.dashboard.overview import Snapshot
from relay.doors.dashboard.pulse import Pulse
from relay.doors.http.desk import Pages, Told
from relay.doors.http.problem import unavailable

log = logging.getLogger("gateway.dashboard")

LOOK_S = 1.0
"""How often it looks while somebody does."""

SLOW_EVERY = 5
"""Every so many looks also at what changes rarely: the workers' health, the settings."""

ANSWER_S = 2.0
"""How long who is looked at may take; a frozen worker shows as away then."""

SETTINGS_S = 0.1
"""How long a look waits for the settings, which are read from Kafka; else they come with a later one."""

LINGER_S = 15.0
"""How long it goes on looking after the last one who did."""

FACTS_LINGER_S = 900.0
"""How long the facts are read after that, so that charts are whole for who comes back."""

BACK_RECORDS = 20_000
"""Facts that are read back when reading begins."""

CATCH_UP_S = 0.15
"""How long the first page waits for them."""

FRESH_MS = 2_000
"""A fact so young says that the reading has caught up."""

LISTENERS_MAX = 300
"""Live pages of one gateway."""

Now = Callable[[], int]


class Live:
    """The shared look. Use it as `async with Live(...) as live`."""

    def __init__(self, pages: Pages, outlook: Outlook, now_ms: Now | None = None) -> None:
        """Of these sources; `now_ms` is the clock, epoch ms."""
        self._pages = pages
        self._outlook = outlook
        self.now_ms: Now = now_ms or (lambda: time.time_ns() // 1_000_000)
        self.pulse = Pulse()
        self.snapshot = Snapshot()
        self.listeners = 0
        self.look_s = LOOK_S
        self._beat = asyncio.Condition()
        self._beats = 0
        self._asked_s = -FACTS_LINGER_S
        self._looking: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._reading_since_s = 0.0
        self._entries: asyncio.Task[Any] | None = None
        self._caught_up = asyncio.Event()
        self._lock = asyncio.Lock()
        self._touched: dict[str, int] = {}
        self._watched: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Nothing runs before somebody looks."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends what runs."""
        tasks = [task for task in (self._looking, self._reading, self._entries) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> Snapshot:
        """What is so now: not older than two looks."""
        self._asked_s = time.monotonic()
        self._begin()
        await asyncio.gather(self._look_if_stale(), self._catch_up())
        self.pulse.forget(self.now_ms())
        return self.snapshot

    async def again(self) -> None:
        """Looks at everything at once: something was changed."""
        async with self._lock:
            self._entries = None
            await self._look(slow=True, patient=True)

    def check_room(self) -> None:
        """Problem 503 if there are too many listeners."""
        if self.listeners >= LISTENERS_MAX:
            raise unavailable(f"a gateway has at most {LISTENERS_MAX} live pages, and all are taken", 10)

    async def beats(self, job: str | None = None) -> AsyncGenerator[bool, None]:
        """Comes once a second for who listens; whether a fact about `job` came since.

        Problem 503 if there are too many listeners.
        """
        self.check_room()
        self.listeners += 1
        if job is not None:
            self._watched[job] = self._watched.get(job, 0) + 1
        seen, facts = self._beats, self._touched.get(job or "", 0)
        try:
            while True:
                self._asked_s = time.monotonic()
                self._begin()
                async with self._beat:
                    await self._beat.wait_for(lambda: self._beats > seen)  # noqa: B023  # waits here
                seen, before = self._beats, facts
                facts = self._touched.get(job or "", 0)
                yield facts > before
        finally:
            self.listeners -= 1
            if job is not None:
                self._watched[job] -= 1
                if not self._watched[job]:
                    del self._watched[job]
                    self._touched.pop(job, None)

    def _begin(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        if self._reading is None or self._reading.done():
            self._reading_since_s = time.monotonic()
            self._reading = asyncio.create_task(self._read())

    async def _keep_looking(self) -> None:
        while self.listeners or time.monotonic() - self._asked_s < LINGER_S:
            began_s = time.monotonic()
            try:
                async with self._lock:
                    await self._look(slow=self._beats % SLOW_EVERY == 0)
            except Exception:
                log.exception("a fault of the dashboard's own; it looks again")
            await asyncio.sleep(max(self.look_s / 10, self.look_s - (time.monotonic() - began_s)))

    async def _look_if_stale(self) -> None:
        async with self._lock:
            if self.now_ms() - self.snapshot.at_ms > 2 * self.look_s * 1_000:
                await self._look(slow=self._beats % SLOW_EVERY == 0)

    async def _catch_up(self) -> None:
        left_s = self._reading_since_s + CATCH_UP_S - time.monotonic()
        if left_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._caught_up.wait()

    async def _look(self, *, slow: bool, patient: bool = False) -> None:
        """Asks everybody at once; who does not answer is away. `patient`: the settings must be new."""
        before = self.snapshot
        counts, relays, workers, entries = await asyncio.gather(
            _within(self._pages.counts),
            _within(self._outlook.relays),
            _within(self._pages.workers) if slow or before.away else _same(before.workers),
            self._settings(before, slow=slow, patient=patient),
        )
        now_ms = self.now_ms()
        away = str(counts) if isinstance(counts, Exception) else None
        self.snapshot = replace(
            before,
            at_ms=now_ms,
            queues=None if isinstance(counts, Exception) else counts["queues"],
            away=away,
            away_since_ms=None if away is None else before.away_since_ms or now_ms,
            relays=_relays(relays, before.relays),
            workers=before.workers if isinstance(workers, Exception) else tuple(workers),
            entries=entries,
        )
        self._beats += 1
        async with self._beat:
            self._beat.notify_all()

    async def _settings(self, before: Snapshot, *, slow: bool, patient: bool) -> Entries:
        """What operators say: as it was, if reading it takes longer than a page may wait."""
        if self._entries is None and not slow:
            return before.entries
        if self._entries is None:
            self._entries = asyncio.create_task(_within(self._outlook.entries))
        await asyncio.wait({self._entries}, timeout=ANSWER_S if patient else SETTINGS_S)
        if not self._entries.done():
            return before.entries
        found, self._entries = self._entries.result(), None
        return before.entries if isinstance(found, Exception) else found

    async def _read(self) -> None:
        """Takes facts while somebody looks, and a while longer."""
        self.pulse = Pulse()
        try:
            async with contextlib.aclosing(self._outlook.lately(BACK_RECORDS)) as facts:
                async for told in facts:
                    self._take(told)
                    if not self.listeners and time.monotonic() - self._asked_s > FACTS_LINGER_S:
                        break
        except Exception:
            log.exception("the facts can't be read for the dashboard; they will be when somebody looks again")
        finally:
            self._caught_up.clear()

    def _take(self, told: Told | None) -> None:
        if told is not None:
            self.pulse.take(told.fact)
            if told.fact.job in self._watched:
                self._touched[told.fact.job] = self._touched.get(told.fact.job, 0) + 1
        if told is None or told.fact.at_ms > self.now_ms() - FRESH_MS:
            self._caught_up.set()


async def _within(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, or the exception that stands for it."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask()
    except TimeoutError:
        return TimeoutError(f"no answer within {ANSWER_S:g} s")
    except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
        return error


async def _same(value: Any) -> Any:
    return value


def _relays(found: Any, before: tuple[RelayWord, ...]) -> tuple[RelayWord, ...]:
    if isinstance(found, Exception):
        return tuple(RelayWord(word.address, None, str(found)) for word in before)
    return tuple(found)
