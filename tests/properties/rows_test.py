"""Hot and cold rows against a plain dict, over any sequence of changes."""

import os
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas.codec import encode
from schemas.events import JobRow
from schemas.records import replace
from schemas.words import Phase
from streams import rows as rows_module
from streams import saving
from streams.core.job import next_due_ms
from streams.packing import LEARN_AGAIN, LEARN_ROWS, Packing
from streams.rows import COLD_MS, JOB_ROW, Glance, Rows
from streams.saving import load, save
from tests.unit.schemas.samples import sample

IDS = [f"j{number}" for number in range(6)]
HOT_JOBS_MAX = 3
TIMES = st.integers(0, 4 * COLD_MS)
PLAIN: JobRow = sample(JobRow, full=False)


def job_row(id: str, phase: Phase, at_ms: int, queue: str) -> JobRow:
    """A row of this phase that wants something at `at_ms`, or in a second at the latest."""
    return replace(
        PLAIN,
        spec=replace(PLAIN.spec, id=id, queue=queue, created_at_ms=at_ms, heartbeat_timeout_ms=1_000),
        phase=phase,
        dispatched_at_ms=at_ms,
        due_at_ms=at_ms,
        lease_ends_at_ms=at_ms,
        beat_at_ms=at_ms,
        purge_at_ms=at_ms,
    )


job_rows = st.builds(
    job_row, st.sampled_from(IDS), st.sampled_from(list(Phase)), TIMES, st.sampled_from(["default", "mail"])
)


class RowsLikeADict(RuleBasedStateMachine):
    """However a job is kept, it is what was kept last."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(rows_module, "HOT_JOBS_MAX", HOT_JOBS_MAX)
        self.patch.setattr(saving, "CHUNK_ROWS", 1)
        self.rows = Rows(3)
        self.wanted: dict[str, JobRow] = {}

    def teardown(self) -> None:
        """Puts the limit back."""
        self.patch.undo()

    @rule(now_ms=TIMES)
    def at(self, now_ms: int) -> None:
        """Time goes on, or seems to go back."""
        self.rows.at(now_ms)

    @rule(row=job_rows, encoded=st.booleans())
    def keep(self, row: JobRow, *, encoded: bool) -> None:
        """A job changes."""
        self.wanted[row.spec.id] = row
        self.rows.keep_job(row.spec.id, row, encode(row) if encoded else None)

    @rule(id=st.sampled_from(IDS))
    def drop(self, id: str) -> None:
        """A job is forgotten, if there is one."""
        self.wanted.pop(id, None)
        self.rows.keep_job(id, None)

    @rule()
    def restore(self) -> None:
        """Another partition reads them all, each after one that it replaces, and one that was dropped."""
        self.rows = Rows(3)
        for value in (encode(PLAIN), None):
            self.rows.restore(b"j:gone", value)
        for id, row in self.wanted.items():
            self.rows.restore((JOB_ROW + id).encode(), encode(PLAIN))
            self.rows.restore((JOB_ROW + id).encode(), encode(row))
        found = self.rows.read(lambda row: row.phase == Phase.DEAD)
        assert found == [row for row in self.wanted.values() if row.phase == Phase.DEAD]

    @rule(
        before=st.integers(0, 5),
        tail=st.lists(st.tuples(job_rows, st.booleans()), max_size=4),
        evict=st.sampled_from(IDS),
    )
    def load(self, before: int, tail: list[tuple[JobRow, bool]], evict: str) -> None:
        """Another partition loads what is saved while jobs change, then reads those changes from the log."""
        self.rows.keep_args("big", b"x" * 2_000)
        chunks = save(self.rows)
        saved = list(islice(chunks, before))
        self._freeze(evict)
        for row, dropped in tail:
            if dropped:
                self.drop(row.spec.id)
            else:
                self.keep(row, encoded=True)
        saved += chunks
        self.rows = Rows(3)
        for chunk in saved:
            load(self.rows, chunk)
        for row, dropped in tail:
            self.rows.restore((JOB_ROW + row.spec.id).encode(), None if dropped else encode(row))
        self.rows.read(lambda _: False)
        assert self.rows.packing.unpack(self.rows.packed_args["big"]) == b"x" * 2_000
        self.rows.restore(b"a:big", None)
        assert not self.rows.packed_args

    def _freeze(self, id: str) -> None:
        """A hot job is packed, without anything that the log would have of it."""
        row = self.rows.jobs.hot.get(id)
        if row is not None:
            self.rows.jobs.keep_cold(JOB_ROW + id, row, next_due_ms(row), encode(row))

    @invariant()
    def every_job_is_there(self) -> None:
        """By id, by iteration and by number."""
        jobs = self.rows.jobs
        assert dict(jobs) == self.wanted
        assert len(jobs) == len(self.rows) == len(self.wanted)
        assert [id in jobs for id in IDS] == [id in self.wanted for id in IDS]
        assert jobs.get("gone") is None

    @invariant()
    def at_a_glance(self) -> None:
        """Counts, lists, phases and due times say what the rows say."""
        rows = self.wanted.values()
        assert self.rows.counts == Counter((row.spec.queue, row.phase) for row in rows)
        jobs = self.rows.jobs
        seen = [glance for number in list(jobs.created.slots) for glance in jobs.glances(number)]
        assert sorted(seen) == sorted(
            Glance(row.spec.created_at_ms, row.spec.id, row.spec.queue, row.phase) for row in rows
        )
        for phase in Phase:
            assert sorted(self.rows.jobs.in_phase(phase)) == sorted(
                row.spec.id for row in rows if row.phase == phase
            )
        assert self.rows.dues.next_ms() == min(map(next_due_ms, rows), default=None)  # type: ignore[type-var]

    @invariant()
    def few_are_hot(self) -> None:
        """No more than the limit are kept whole."""
        assert len(self.rows.jobs.hot) <= HOT_JOBS_MAX


TestRowsLikeADict = RowsLikeADict.TestCase


def test_another_job_with_the_same_id_is_listed_where_it_belongs() -> None:
    """As when one was dropped and asked for again: also if both are hot, and alike in all but their times."""
    rows = Rows(3)
    for created_at_ms in (200_000, 0):
        rows.keep_job("j1", job_row("j1", Phase.READY, created_at_ms, "mail"))
    found = [
        glance.created_at_ms for number in rows.jobs.created.slots for glance in rows.jobs.glances(number)
    ]
    assert found == [0]


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 400))
def test_packed_and_unpacked(values: list[bytes], times: int) -> None:
    """A value comes back as it was, whichever dictionary was in use, and none of any kind is too odd to learn
    from.
    """
    packing = Packing()
    every = [value + bytes(times) for value in values] * (LEARN_ROWS * LEARN_AGAIN // 64)
    packed = [packing.pack(value) for value in every]
    assert [packing.unpack(form) for form in packed] == every
    other = Packing()
    other.adopt(packing.dictionaries)
    assert [other.unpack(form) for form in packed] == every
    assert other.unpack(other.pack(b"x")) == b"x"


def test_rows_alike_get_small() -> None:
    """Once it has seen some rows, a row of 300 bytes that are all but its own takes less than a third."""
    packing = Packing()
    values = [
        encode(job_row(f"01K{os.urandom(11).hex()}", Phase.SCHEDULED, number, "default"))
        for number in range(2 * LEARN_ROWS)
    ]
    packed = [packing.pack(value) for value in values]
    assert len(packing.dictionaries) == 1
    assert sum(map(len, packed[LEARN_ROWS:])) < sum(map(len, values[LEARN_ROWS:])) / 3


def test_work_that_changes_is_learnt_again() -> None:
    """When there are many times as many values as a dictionary was learnt from, another one is learnt."""
    packing = Packing()
    for number in range(LEARN_ROWS * (LEARN_AGAIN + 1) + 1):
        packing.pack(f"{number} {number * 7919} some words that all of them have".encode())
    assert len(packing.dictionaries) == 2
