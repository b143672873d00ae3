"""The conformance program: holds any minion, in any language, to relay/README.md.

`python -m tests.conformance.check -- COMMAND ...` plays the relay, starts the command once for each rule with
its address in JOBSTREAM_RELAY, a token in JOBSTREAM_RELAY_TOKEN and, for rules about TLS, the authority's
certificate in JOBSTREAM_RELAY_CA, and says which rules it keeps; exit code 1 if it breaks one. The minion
must
serve the queue `default` with a capacity of 4 and three functions: `echo` returns its arguments, `fail` fails
with an error type that ends with `Broken`, `wait` runs until it is cancelled or its time is over.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from schemas.proto.relay_pb2 import FAILURE, INTERRUPTED, SUCCESS, FromRelay, Job
from tests.certificates import Authority
from tests.fakes.relay import FakeRelay, FakeSession, fake_relay
from tests.waiting import eventually_async

CAPACITY = 4
AT_ONCE = 3
"""Rules that are tried at once, each with a minion of its own."""
DEADLINE_S = 30.0
REFUSALS = 5
REFUSED_S = 0.3
"""So many tries in a row that are refused take longer than this."""
QUIET_S = 0.5
"""How long is waited for what must not come."""
UNKNOWN_FIELD = b"\xfa\x06\x03new"
"""A FromRelay of a later version: field 111, with three bytes."""


@dataclass
class Subject:
    """The minion under test, the relay it is connected to, and its first session."""

    process: asyncio.subprocess.Process
    relay: FakeRelay
    session: FakeSession


TOKEN = "shown-to-relays"  # noqa: S105  # opens nothing
"""What the minion is given to show."""

Rule = Callable[[Subject], Awaitable[None]]
RULES: dict[str, Rule] = {}
BY_TLS: set[Rule] = set()
"""Rules that are tried over TLS."""


def rule(check: Rule) -> Rule:
    """One more rule, by its name."""
    RULES[check.__name__] = check
    return check


@asynccontextmanager
async def subject(command: Sequence[str], *, tls: bool = False) -> AsyncIterator[Subject]:
    """Starts the minion and waits for its hello; kills it at the end if it is still there."""
    with tempfile.TemporaryDirectory() as folder:
        credentials, more = _encrypted(Path(folder)) if tls else (None, {})
        environ = {**os.environ, **more, "JOBSTREAM_RELAY_TOKEN": TOKEN}
        async with _subject(command, credentials, environ) as it:
            yield it


def _encrypted(folder: Path) -> tuple[grpc.ServerCredentials, dict[str, str]]:
    """Credentials of a relay, and what the minion is told of them."""
    authority = Authority(folder)
    own = authority.issue("relay")
    pair = (own.key.read_bytes(), own.cert.read_bytes())
    return grpc.ssl_server_credentials([pair]), {"JOBSTREAM_RELAY_CA": str(authority.ca)}


@asynccontextmanager
async def _subject(
    command: Sequence[str], credentials: grpc.ServerCredentials | None, environ: Mapping[str, str]
) -> AsyncIterator[Subject]:
    async with fake_relay(credentials=credentials) as relay:
        environ = {**environ, "JOBSTREAM_RELAY": relay.address}
        process = await asyncio.create_subprocess_exec(*command, env=environ)
        try:
            yield Subject(process, relay, await relay.session(timeout_s=DEADLINE_S))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        assert not relay.breaches, "; ".join(relay.breaches)


async def until(check: Callable[[], object]) -> None:
    """Waits until something is so."""

    async def found() -> bool:
        return bool(check())

    await eventually_async(found, DEADLINE_S)


def answers(session: FakeSession, job: Job) -> int:
    """How many receipts of a job came on a session."""
    return sum((each.job, each.epoch) == (job.id, job.epoch) for each in session.receipts)


@rule
async def says_hello(it: Subject) -> None:
    """Rule 1: who it is, what it serves, how much it takes."""
    hello = it.session.hello
    assert hello.minion, "a minion must have a name"
    assert "default" in hello.queues, f"queues must have default, got {list(hello.queues)}"
    assert {"echo", "fail", "wait"} <= set(hello.functions), f"got {sorted(hello.functions)}"
    assert hello.capacity == CAPACITY, f"capacity must be {CAPACITY}, got {hello.capacity}"
    assert not hello.held, "a minion that has just begun holds nothing"
    assert hello.token == TOKEN, "token must be what the minion was given for it"


@rule
async def speaks_tls(it: Subject) -> None:
    """Transport: over TLS, with the authority that it was given."""
    job = await it.session.give("echo")
    await it.session.receipt(job, DEADLINE_S)


BY_TLS.add(speaks_tls)


@rule
async def grants_credits_again_and_again(it: Subject) -> None:
    """Rules 5 and 6: as many as it can start, never more."""
    for _ in range(5):
        await it.session.give_many([it.relay.job("echo", [1]) for _ in range(CAPACITY)])
    await until(lambda: it.session.credits == CAPACITY)


@rule
async def answers_with_results(it: Subject) -> None:
    """Rule 10: a success has the function's value."""
    job = await it.session.give("echo", {"a": [1, "ö"]})
    receipt = await it.session.receipt(job, DEADLINE_S)
    assert receipt.outcome == SUCCESS, f"got {receipt}"
    assert receipt.result, "echo must return its arguments"
    assert receipt.started_at_ms > 0, "a receipt tells when the function began"


@rule
async def answers_with_errors(it: Subject) -> None:
    """Rule 10: a failure names its type."""
    receipt = await it.session.receipt(await it.session.give("fail"), DEADLINE_S)
    assert receipt.outcome == FAILURE, f"got {receipt}"
    assert receipt.error_type.endswith("Broken"), f"got {receipt.error_type!r}"


@rule
async def hands_back_what_it_does_not_know(it: Subject) -> None:
    """Rule 7: a function that it does not have."""
    receipt = await it.session.receipt(await it.session.give("unheard-of"), DEADLINE_S)
    assert receipt.outcome == INTERRUPTED, f"got {receipt}"


@rule
async def runs_what_comes_twice_once(it: Subject) -> None:
    """Rule 7: the same (job, epoch) again is ignored while it is held."""
    job = await it.session.give("wait")
    await until(lambda: it.session.credits > 0)
    it.session.push([job])
    it.session.cancel(job)
    await it.session.receipt(job, DEADLINE_S)
    await asyncio.sleep(QUIET_S)
    assert answers(it.session, job) == 1, "a job that came twice must be answered once"


@rule
async def ends_what_takes_too_long(it: Subject) -> None:
    """Rule 8: with FAILURE and Timeout."""
    receipt = await it.session.receipt(await it.session.give("wait", timeout_ms=400), DEADLINE_S)
    assert (receipt.outcome, receipt.error_type) == (FAILURE, "Timeout"), f"got {receipt}"


@rule
async def stops_what_is_cancelled(it: Subject) -> None:
    """Rule 17: and answers all the same; what it does not hold it ignores."""
    job = await it.session.give("wait")
    it.session.cancel(it.relay.job("wait"))
    it.session.cancel(job)
    await it.session.receipt(job, DEADLINE_S)


@rule
async def forgets_what_is_dropped(it: Subject) -> None:
    """Rule 18: no receipt, and its place is free again."""
    jobs = [it.relay.job("wait") for _ in range(CAPACITY)]
    await it.session.give_many(jobs)
    it.session.drop(*jobs)
    await until(lambda: it.session.credits == CAPACITY)
    assert not it.session.receipts, f"what was dropped must not be answered, got {it.session.receipts}"


@rule
async def runs_what_follows_in_its_turn(it: Subject) -> None:
    """Rule 9: each begins when the one before has succeeded, and is handed back otherwise. For minions that
    say that they take such.
    """
    if not it.session.hello.follows:
        return
    waits = it.relay.job("wait", leads=True)
    second = it.relay.job("echo", leads=True, after_job=waits.id, after_epoch=1)
    third = it.relay.job("echo", leads=True, after_job=second.id, after_epoch=1)
    await it.session.give_many([waits, second, third])
    await asyncio.sleep(QUIET_S)
    assert not it.session.receipts, f"nothing may end before {waits.id}, got {it.session.receipts}"
    it.session.cancel(waits)
    for job in (second, third):
        receipt = await it.session.receipt(job, DEADLINE_S)
        assert receipt.outcome == INTERRUPTED, f"what it comes after did not succeed, got {receipt}"
    first = it.relay.job("echo", leads=True)
    second = it.relay.job("echo", leads=True, after_job=first.id, after_epoch=1)
    await it.session.give_many([first, second])
    third = await it.session.give("echo", after_job=second.id, after_epoch=1)
    numbers = []
    for job in (first, second, third):
        receipt = await it.session.receipt(job, DEADLINE_S)
        assert receipt.outcome == SUCCESS, f"got {receipt}"
        numbers.append(receipt.number)
    assert numbers == sorted(numbers), f"receipts must be in the order of the jobs, got {numbers}"
    stray = await it.session.give("echo", after_job="unheard-of", after_epoch=1)
    receipt = await it.session.receipt(stray, DEADLINE_S)
    assert receipt.outcome == INTERRUPTED, f"what it comes after is not known here, got {receipt}"
    await until(lambda: it.session.credits == CAPACITY)


@rule
async def beats_while_it_holds_a_lease(it: Subject) -> None:
    """Rule 15: some message at least every heartbeat_ms, with a little patience for a busy machine."""
    await it.session.give("wait")
    before = len(it.session.batches)
    await asyncio.sleep(3 * it.relay.heartbeat_ms / 1000)
    heard = len(it.session.batches) - before
    assert heard >= 2, f"two beats at least must come in three times heartbeat_ms, got {heard}"


@rule
async def ignores_what_it_does_not_know(it: Subject) -> None:
    """Transport: a later relay may say more."""
    it.session.send(FromRelay.FromString(UNKNOWN_FIELD))
    job = await it.session.give("echo")
    await it.session.receipt(job, DEADLINE_S)


@rule
async def brings_its_leases_to_the_next_session(it: Subject) -> None:
    """Rules 1, 4, 11, 13, 21: what it holds in the hello, what was not stored once more, with its number."""
    it.relay.stores = False
    waits = await it.session.give("wait")
    done = await it.session.give("echo")
    receipt = await it.session.receipt(done, DEADLINE_S)
    began_s = time.monotonic()
    it.session.abort()
    again = await it.relay.session(2, DEADLINE_S)
    assert time.monotonic() - began_s < 2, "a minion should connect again at once"
    assert [(held.job, held.epoch) for held in again.hello.held] == [(waits.id, waits.epoch)]
    held = again.hello.held[0]
    told = (held.key, held.partition, held.function, held.assigned_at_ms, held.timeout_ms)
    assert told == (waits.key, waits.partition, waits.function, waits.assigned_at_ms, waits.timeout_ms)
    sent_again = await again.receipt(done, DEADLINE_S)
    assert sent_again.number == receipt.number, "a receipt keeps its number"
    assert sent_again.lease.job == done.id, "a receipt on another session carries its lease"
    it.relay.stores = True
    again.store()
    again.cancel(waits)
    await again.receipt(waits, DEADLINE_S)


@rule
async def tries_again_slower_after_refusals(it: Subject) -> None:
    """Refusals, 21: it comes back, with pauses that grow, and brings what it holds as before."""
    job = await it.session.give("wait")
    await asyncio.sleep(QUIET_S)
    it.relay.refuses = grpc.StatusCode.UNAUTHENTICATED
    it.session.abort(grpc.StatusCode.UNAUTHENTICATED)
    await until(lambda: len(it.relay.refused) >= REFUSALS)
    tries = it.relay.refused
    took_s = tries[-1] - tries[0]
    assert took_s > REFUSED_S, f"{REFUSALS} tries must take {REFUSED_S:g} s at least, got {took_s:.2f} s"
    it.relay.refuses = None
    again = await it.relay.session(2, DEADLINE_S)
    assert [held.job for held in again.hello.held] == [job.id]
    again.cancel(job)
    await again.receipt(job, DEADLINE_S)


@rule
async def leaves_a_relay_that_drains(it: Subject) -> None:
    """Rule 20: it answers what ends, and connects again."""
    job = await it.session.give("echo")
    it.session.drain()
    await it.session.receipt(job, DEADLINE_S)
    await it.relay.session(2, DEADLINE_S)


@rule
async def drains_when_it_is_told(it: Subject) -> None:
    """Rules 10 and 19: SIGTERM; Draining, what runs is handed back, the stream ends, exit code 0."""
    job = await it.session.give("wait")
    await asyncio.sleep(QUIET_S)
    it.process.send_signal(signal.SIGTERM)
    await until(lambda: it.session.draining is not None)
    receipt = await it.session.receipt(job, 60)
    assert receipt.outcome == INTERRUPTED, f"got {receipt}"
    async with asyncio.timeout(DEADLINE_S):
        code = await it.process.wait()
    assert code == 0, f"a minion that drained must exit with 0, got {code}"


@rule
async def asks_its_credits_back_when_it_drains(it: Subject) -> None:
    """Rule 19: behind Draining; what came before the answer is handed back, and not lost."""
    await until(lambda: it.session.credits == CAPACITY)
    job = it.relay.job("echo")
    it.session.crossing = [job]
    it.process.send_signal(signal.SIGTERM)
    receipt = await it.session.receipt(job, DEADLINE_S)
    assert receipt.outcome == INTERRUPTED, f"got {receipt}"
    async with asyncio.timeout(DEADLINE_S):
        code = await it.process.wait()
    assert code == 0, f"a minion that drained must exit with 0, got {code}"


async def check(command: Sequence[str], names: Sequence[str] = ()) -> dict[str, str | None]:
    """What is wrong, by rule; None: nothing. A few rules are tried at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def tried(name: str) -> str | None:
        async with room:
            try:
                async with subject(command, tls=RULES[name] in BY_TLS) as it:
                    await RULES[name](it)
            except (AssertionError, TimeoutError) as error:
                return str(error) or type(error).__name__
        return None

    wanted = list(names or RULES)
    return dict(zip(wanted, await asyncio.gather(*map(tried, wanted)), strict=True))


def main(arguments: Sequence[str]) -> int:
    """Says for each rule whether the command keeps it; 1 if it breaks one."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.check", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=list(RULES), help="a rule by its name")
    parser.add_argument("command", nargs="+", help="starts the minion; after --")
    given = parser.parse_args(arguments)
    found = asyncio.run(check(given.command, given.only))
    for name, wrong in found.items():
        words = name.replace("_", " ")
        sys.stdout.write(f"broken  {words}: {wrong}\n" if wrong else f"kept    {words}\n")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
