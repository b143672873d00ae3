"""Any order of what operators, clients, minions, time and crashes do to queues that are paused at times."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import FunctionConfig, QueueConfig
from schemas.words import Phase, WaitReason
from streams.core.admission import SPEC
from streams.core.config import OPTIONS, Config
from streams.partition import Partition
from streams.saving import load, save
from tests.fakes.desk import Desk

QUEUES = ("default", "mail")
ACTS = ("ask", "ask", "ask", "pause", "resume", "resume", "fail", "tick", "tick", "cancel", "crash", "again")


class Operated:
    """A partition with two queues, and what must hold after each act."""

    def __init__(self) -> None:
        self.desk = Desk(QUEUES)
        self.paused: set[str] = set()
        self.count = 0
        self.seen: Counter[tuple[str, int]] = Counter()

    def do(self, act: str, pick: int) -> None:
        """One act; what it dispatches for the first time is of no paused queue."""
        desk, queue = self.desk, QUEUES[pick % 2]
        rows = list(desk.partition.jobs.values())
        row = rows[pick % len(rows)] if rows else None
        crash = act in ("crash", "again")
        if act == "ask":
            self.count += 1
            written = desk.request(id=f"j{self.count}", queue=queue, retry_initial_ms=5)
        elif act in ("pause", "resume"):
            (self.paused.add if act == "pause" else self.paused.discard)(queue)
            written = desk.config(QueueConfig(queue=queue, paused=act == "pause"))
        elif crash:
            written = desk.crash(dict.fromkeys(desk.sources, 0) if act == "again" else None)
        elif act == "fail" and row is not None and row.phase == Phase.READY and row.wait_reason is None:
            written = desk.receipt(row.spec.id, row.epoch, "failure")
        elif act == "cancel" and row is not None:
            written = desk.command("cancel", row.spec.id)
        else:
            written = desk.tick(desk.now_ms + 1 + pick)
        for dispatch in written.dispatches:
            new = self.seen[dispatch.job, dispatch.epoch] == 0
            self.seen[dispatch.job, dispatch.epoch] += 1
            assert crash or new, "a dispatch is sent again after a crash alone"
            assert not new or dispatch.queue not in self.paused, "a paused queue gets no new dispatch"

    def finish(self) -> None:
        """Every queue goes on."""
        for queue in sorted(self.paused):
            self.desk.config(QueueConfig(queue=queue))
        self.paused.clear()
        while (due_ms := self.desk.partition.next_due_ms()) is not None and due_ms <= self.desk.now_ms:
            self.do("tick", 0)


@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 9)), max_size=60))
@settings(max_examples=150)
def test_a_pause_holds_and_its_end_forgets_nobody(acts: list[tuple[str, int]]) -> None:
    """When no queue is paused any more, every ready job was dispatched, and its row says so."""
    operated = Operated()
    for act, pick in acts:
        operated.do(act, pick)
        for row in operated.desk.partition.jobs.values():
            assert row.wait_reason != WaitReason.PAUSED or row.phase == Phase.READY
    operated.finish()
    for row in operated.desk.partition.jobs.values():
        if row.phase == Phase.READY:
            assert row.wait_reason is None
            assert operated.seen[row.spec.id, row.epoch] > 0
    desk, ends = operated.desk, operated.desk.ends()
    loaded = Partition(desk.number, desk.topics, desk.queues)
    for chunk in save(desk.partition.rows):
        load(loaded.rows, chunk)
    for other in (desk.restored(compact=True), loaded):
        other.begin(ends, ends)
        assert dict(other.jobs) == dict(desk.partition.jobs)
        assert other.rows.configs == desk.partition.rows.configs
        assert other.rows.config == desk.partition.rows.config


entries = st.fixed_dictionaries(
    {}, optional={"timeout_ms": st.integers(1, 9), "attempts_max": st.integers(1, 9), "lost_max": st.just(2)}
)


@given(of_queue=entries, of_function=entries)
def test_the_strongest_word_is_in_force(of_queue: dict[str, Any], of_function: dict[str, Any]) -> None:
    """For every option: the function's entry, else the queue's, else what is built in; and it says which."""
    config = Config.of([QueueConfig(queue="q", **of_queue), FunctionConfig(function="f", **of_function)])
    said = config.options("q", "f")
    for option in config.in_force("q", "f", SPEC):
        assert option.name in OPTIONS
        if option.name in of_function:
            expected = (of_function[option.name], "function/f")
        elif option.name in of_queue:
            expected = (of_queue[option.name], "queue/q")
        else:
            expected = (SPEC[option.name], "built-in")
        assert (option.value, option.origin) == expected
        assert said.get(option.name, SPEC[option.name]) == option.value
