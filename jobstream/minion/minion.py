"""A minion: functions, resources, a runner and a session, opened and closed in the right order.

It composes; each part beside it does one thing. It owns the process's signals while `run` lasts, and must
never let a function that will not stop keep the process from ending.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from jobstream import resources
from jobstream.errors import BadFunction, BadRequest, ResourceFailed
from jobstream.functions import DECLARED, Function
from jobstream.minion.fleet import Fleet
from jobstream.minion.link import Offer
from jobstream.minion.runner import FunctionRunner
from jobstream.minion.wire import Wire
from schemas import loops
from schemas.defaults import DRAIN_MS, MINION_CONCURRENCY
from schemas.names import BadName, check_id, check_queue
from schemas.settings import DNS

if TYPE_CHECKING:
    from jobstream.minion.telling import Telling
    from schemas.telemetry.process import Telemetry

log = logging.getLogger(__name__)

RELAY = "127.0.0.1:7071"
FIND_EVERY_S = 10.0
"""How often such a name is looked up again."""
HOST_CHARS_MAX = 100
"""How much of a host's name goes into a minion's."""
CAPACITY_MAX = 10_000
"""How many leases one minion holds at most: a hello that names them all stays well below a message's limit.
"""
GRACE_S = DRAIN_MS / 1_000
LOOK_S = 0.02
"""How often it is looked whether there is something to do, while somebody waits for that."""
LEAVE_S = 5.0
"""How long resources may take to close, and functions to notice, before the process ends without them."""

EXIT_DRAINED = 0
EXIT_UNSTORED = 1
"""Some receipts were not confirmed by any relay: their attempts count as lost."""
EXIT_UNUSABLE = 2
"""The functions, or the way it was called, are not usable."""
EXIT_RESOURCE = 3
"""A resource could not be opened."""


class Minion:
    """Runs the jobs of its functions, until it is told to go away.

    `run()` blocks and minds signals; `async with Minion(...)` lives on a loop that is there, for tests and
    for programs that do something else besides.

    Args:
        functions: What it runs; by default every function that any imported module declares.
        relay: Address of the relay, host:port. Several, as a list or with commas between, are all connected
            to, and share the minion's concurrency; `dns:host:port` stands for every address of that name.
        concurrency: How many attempts it runs at once; by default 100, or the number of cores if any of its
            functions runs in processes, or none is async.
        name: For people, and for relays to know the minion again after a break: no two minions may share one.
            By default host and process id.
        queues: What it serves; by default the queues of its functions.
        grace: Seconds that running attempts are given when it goes away.
        areas: Where it is, nearest first.
        wire: How it connects: TLS, a certificate, a token; in the clear and without a token if left out.
        telemetry: Counts its attempts and traces them; whoever made it begins and ends it.

    Raises:
        BadFunction: No functions, two of one name, or resources where they cannot be.
        BadRequest: A value outside its limits.
    """

    def __init__(  # noqa: PLR0913  # one keyword for each thing that a minion is told
        self,
        functions: Iterable[Function[..., Any]] | None = None,
        *,
        relay: str | Iterable[str] = RELAY,
        concurrency: int | None = None,
        name: str | None = None,
        queues: Iterable[str] | None = None,
        grace: float = GRACE_S,
        areas: Iterable[str] = (),
        wire: Wire | None = None,
        telemetry: "Telemetry | None" = None,
    ) -> None:
        found = by_name(DECLARED.values() if functions is None else functions)
        if concurrency is not None and not 1 <= concurrency <= CAPACITY_MAX:
            raise BadRequest(f"concurrency must be from 1 to {CAPACITY_MAX}, got {concurrency!r}")
        if not grace >= 0:
            raise BadRequest(f"grace must be seconds from 0 up, got {grace!r}")
        self.grace_s = grace
        self.relay = relay if isinstance(relay, str) else ",".join(relay)
        self.relays = _addresses(self.relay)
        self.offer = Offer(
            minion=_name(name),
            queues=_queues(found, queues),
            functions=found,
            capacity=concurrency if concurrency is not None else capacity_of(found.values()),
            areas=tuple(areas),
            sdk=_sdk(),
        )
        self._wire = Wire() if wire is None else wire
        self._telling = None if telemetry is None else _telling(telemetry, self.offer.capacity)
        self._stack = AsyncExitStack()
        self._runner: FunctionRunner | None = None
        self._session: Fleet | None = None
        self._finding: asyncio.Task[None] | None = None
        self._asked_early: float | None = None

    async def __aenter__(self) -> Self:
        """Opens the resources, and connects in the background.

        Raises:
            ResourceFailed: One could not be opened.
        """
        offer = self.offer
        wanted = {
            name for each in offer.functions.values() for name in each.hidden() if name in resources.DECLARED
        }
        try:
            opened = await resources.open_all(wanted, self._stack)
        except BaseException:
            await self._stack.aclose()
            raise
        self._runner = FunctionRunner(offer.functions, opened, offer.capacity, self._telling)
        self._session = Fleet(offer, self._runner, await self._found(self.relays), self._wire)
        self._runner.ended = self._session.ended
        log.info(
            "minion started name=%s relay=%s capacity=%d queues=%s functions=%s recovered=nothing",
            offer.minion,
            self.relay,
            offer.capacity,
            ",".join(offer.queues),
            ",".join(offer.functions),
        )
        self._session.start()
        if any(relay.startswith(DNS) for relay in self.relays):
            self._finding = asyncio.create_task(self._find())
        if self._asked_early is not None:
            self._session.drain(self._asked_early)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drains, at once if the block raised, and closes the resources."""
        self.drain(self.grace_s if error is None else 0)
        try:
            await self.drained()
        finally:
            await self.close()

    async def _find(self) -> None:
        """Looks for relays that were added under a name."""
        while True:
            await asyncio.sleep(FIND_EVERY_S)
            assert self._session is not None
            self._session.add(await self._found([each for each in self.relays if each.startswith(DNS)]))

    async def _found(self, relays: Sequence[str]) -> list[str]:
        """The addresses, with those of names; a name that cannot be resolved now stands for itself."""
        found: list[str] = []
        names = [relay for relay in relays if relay.startswith(DNS)]
        found += [relay for relay in relays if relay not in names]
        for name in names:
            host, _, port = name.removeprefix(DNS).rpartition(":")
            loop = asyncio.get_running_loop()
            try:
                answers = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            except OSError as error:
                log.warning("relays not found name=%s reason=%r", host, str(error))
                continue
            for family, *_, at in answers:
                address = f"[{at[0]}]:{port}" if family == socket.AF_INET6 else f"{at[0]}:{port}"
                self._wire.names[address] = host
                found.append(address)
        return found or [relay.removeprefix(DNS) for relay in relays]

    def drain(self, grace_s: float | None = None) -> None:
        """Takes no more jobs and lets those that run end within the grace time; then hands back the rest.

        Returns at once; any thread and any signal handler may call it. Called again with 0, it hands back at
        once.
        """
        grace_s = self.grace_s if grace_s is None else grace_s
        if self._session is None:
            self._asked_early = grace_s
        else:
            self._session.drain(grace_s)

    async def drained(self) -> int:
        """Waits until the minion has gone away; returns how many receipts no relay has confirmed.

        Raises:
            Exception: Whatever ended the session's thread, if it did not end by itself.
        """
        assert self._session is not None, "a minion must be entered before it is waited for"
        return await asyncio.shield(asyncio.wrap_future(self._session.finished))

    async def opened(self, timeout_s: float = 10.0) -> str:
        """Waits for a session; returns its id.

        Raises:
            TimeoutError: There is none within this time.
        """
        assert self._session is not None, "a minion must be entered before it is waited for"
        if not await asyncio.to_thread(self._session.opened.wait, timeout_s):
            raise TimeoutError(f"the relay at {self.relay} gave no session within {timeout_s:g} s")
        return self._session.session

    @property
    def taken(self) -> int:
        """How many jobs it was given to run."""
        return 0 if self._runner is None else self._runner.taken

    async def idle(self, idle_s: float) -> None:
        """Returns when nothing has run, and no receipt waited to be stored, for so long."""
        assert self._session is not None, "a minion must be entered before it is waited for"
        quiet_since_s, taken = time.monotonic(), self.taken
        while True:
            now_s = time.monotonic()
            if self._session.busy or self.taken != taken:
                quiet_since_s, taken = now_s, self.taken
            elif now_s - quiet_since_s >= idle_s:
                return
            await asyncio.sleep(min(LOOK_S, idle_s))

    async def close(self) -> int:
        """Stops what still runs and closes the resources; returns how many functions would not stop."""
        assert self._runner is not None, "a minion must be entered before it is closed"
        if self._finding is not None:
            self._finding.cancel()
        stuck = await self._runner.close()
        await self._stack.aclose()
        return stuck

    def run(self) -> int:
        """Runs until SIGTERM, SIGINT or SIGQUIT; returns the exit code. To be called by the main thread.

        SIGTERM and SIGINT drain: running attempts end within the grace time, the rest is handed back. Either
        of them a second time, or SIGQUIT, hands back at once.

        Returns:
            0: drained; 1: receipts were left that no relay confirmed; 3: a resource could not be opened.
        """
        with _signals(self._on_signal):
            return loops.run(self._run())

    async def _run(self) -> int:
        try:
            await self.__aenter__()
        except ResourceFailed as error:
            log.error("minion cannot start: %s", error)  # noqa: TRY400  # the sentence says it all
            return EXIT_RESOURCE
        assert self._session is not None
        code = EXIT_UNSTORED
        # The loop may be blocked by a function, or a resource never close: the process ends all the same.
        self._session.finished.add_done_callback(_leave_later)
        try:
            unstored = await self.drained()
        except Exception:  # noqa: BLE001  # the thread has told it with its trace
            log.error("minion ends, since its session thread failed")  # noqa: TRY400
        else:
            code = EXIT_UNSTORED if unstored else EXIT_DRAINED
            log.info("minion drained unstored=%d", unstored)
        finally:
            stuck = await self.close()
        if stuck:
            log.warning("minion leaves functions behind that would not stop count=%d", stuck)
            _leave(code)
        return code

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Runs in the main thread, even while a function blocks its event loop."""
        again, self._signalled = self._signalled, True
        if again and self._session is None:
            _leave(EXIT_RESOURCE)  # a resource that never opens keeps nobody
        self.drain(0 if again or number == signal.SIGQUIT else self.grace_s)

    _signalled = False


def _telling(telemetry: "Telemetry", slots: int) -> "Telling":
    from jobstream.minion.telling import Telling  # only who tells needs it

    return Telling(telemetry, slots)


def by_name(functions: Iterable[Function[..., Any]]) -> dict[str, Function[..., Any]]:
    """The functions by the names that jobs call them.

    Raises:
        BadFunction: None at all, two of one name, or one in processes that needs resources.
    """
    found: dict[str, Function[..., Any]] = {}
    for each in functions:
        if not isinstance(each, Function):
            raise BadFunction(f"a minion must be given functions declared with @function, got {each!r}")
        if found.setdefault(each.name, each) is not each:
            raise BadFunction(
                f"functions of one minion must differ in name, got {each.name!r} for "
                f"{found[each.name].call.__qualname__} and {each.call.__qualname__}"
            )
        needed = sorted(each.hidden() - {each.context_name})
        if each.run == "processes" and needed:
            raise BadFunction(
                f"a function that runs in processes must need no resources, got {needed} in {each.name}"
            )
    if not found:
        raise BadFunction("a minion must have at least one function declared with @function, got none")
    return found


def capacity_of(functions: Iterable[Function[..., Any]]) -> int:
    """How many attempts such functions run at once by default: as many as can all start at once."""
    kinds = {each.run for each in functions}
    if "processes" in kinds or "async" not in kinds:
        return cores()
    return MINION_CONCURRENCY


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _queues(functions: dict[str, Function[..., Any]], queues: Iterable[str] | None) -> tuple[str, ...]:
    found = tuple(sorted({each.queue for each in functions.values()} if queues is None else set(queues)))
    try:
        for queue in found:
            check_queue(queue)
    except BadName as error:
        raise BadRequest(str(error)) from None
    if not found:
        raise BadRequest("queues must name one at least, got none")
    return found


def _name(name: str | None) -> str:
    if name is None:
        host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()).strip(".-") or "minion"
        return f"{host[:HOST_CHARS_MAX]}-{os.getpid()}"
    try:
        check_id(name)
    except BadName as error:
        raise BadRequest(f"name must be like an id: {error}") from None
    return name


def _addresses(relays: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(each.strip() for each in relays.split(",")))
    for relay in found:
        host, _, port = relay.removeprefix(DNS).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004  # the ports there are
            raise BadRequest(f"relay must be host:port, got {relay!r}")
    return found


def _sdk() -> str:
    return f"jobstream-python/{sys.version_info.major}.{sys.version_info.minor}"


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Installs the handler for what ends a minion, and takes it back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(each, handler) for each in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _leave_later(finished: Future[int]) -> None:
    """Ends the process in a while, if it has not ended by itself."""
    code = EXIT_UNSTORED if finished.exception() is not None or finished.result() else EXIT_DRAINED
    timer = threading.Timer(LEAVE_S, _leave, (code,))
    timer.daemon = True
    timer.start()


def _leave(code: int) -> None:
    """Ends the process without waiting for threads that are stuck."""
    logging.shutdown()
    os._exit(code)
