"""A relay ends when it is told to, also without a broker that answers."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from jobstream.cluster import Broker
from relay.main import DRAIN_S
from relay.reader import LEAVE_S
from tests.fakes.minion import FakeMinion
from tests.kafka.relay_test import Log, relay_process

SLACK_S = 15.0
"""For a machine that is slow, and the interpreter's own end."""


@pytest.mark.full
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_relay_ends_though_its_broker_does_not_answer(tmp_path: Path, how: signal.Signals) -> None:
    """Within the time of its drain and that of leaving the group, with jobs under way: a broker that is gone,
    or is there and says nothing, to which the last commit was sent.
    """
    with Broker.start(tmp_path / "kafka") as broker:
        log = Log(broker.bootstrap, "t.")
        log.make()
        with relay_process(log) as (relay, address):
            async with FakeMinion(address, "m1") as minion:
                working = asyncio.create_task(work(log, minion))
                await asyncio.sleep(1)  # commits go out every 0.1 s
                os.kill(broker.pid, how)
                began_s = time.monotonic()
                relay.terminate()
                assert await asyncio.to_thread(relay.wait, LEAVE_S + DRAIN_S + SLACK_S) == 0
                assert time.monotonic() - began_s < LEAVE_S + DRAIN_S + SLACK_S
                working.cancel()
        if how == signal.SIGSTOP:
            os.kill(broker.pid, signal.SIGCONT)


async def work(log: Log, minion: FakeMinion) -> None:
    """One job after the other, for as long as that goes."""
    with contextlib.suppress(Exception):
        while True:
            await minion.grant(1)
            log.write(log.dispatch())
            (job,) = await minion.take()
            await minion.answer(job)
