"""A relay's machine with a clock that a test moves, a topic that it writes, and minions that are only names.

Owns no rule of its own: it calls the edge as the shell does, and keeps what came out.
"""

import itertools
from dataclasses import replace
from typing import Any

from relay.core.edge import Edge
from relay.core.record import Record
from relay.core.session import Session
from relay.core.traffic import Hook, Offers, Told, Traffic
from relay.core.translate import add_job
from relay.core.window import Window
from schemas.defaults import HEARTBEAT_TIMEOUT_MS
from schemas.events import Announcement, Beat, Control, Dispatch, Heartbeat, Receipt
from schemas.keys import home
from schemas.proto import relay_pb2
from schemas.proto.relay_pb2 import SUCCESS, FromRelay, Held, Hello, Job, JobBatch
from schemas.proto.relay_pb2 import Receipt as Said

PARTITIONS = 4
START_MS = 1_800_000_000_000
TICK_MS = 20


class World:
    """An edge and all around it. Kafka takes records at once, unless `slow` is set: then when
    `store` is called.
    """

    def __init__(self, offers: Offers | None = None, limits: dict[str, int] | None = None) -> None:
        """`offers` are what a scheduler would bring minions for; `limits` as the operator sets them."""
        self.now_ms = START_MS
        self.edge = Edge("relay-1", PARTITIONS, self.now_ms, limits, Traffic(offers or Offers()))
        self.told: list[Told] = []
        self.windows = {number: Window("t.dispatch.default", number, 0) for number in range(PARTITIONS)}
        self.slow = False
        self.unstored: list[Record] = []
        self.receipts: list[Receipt] = []
        self.heartbeats: list[Heartbeat] = []
        self.announcements: list[Announcement] = []
        self.remarks: list[str] = []
        self._jobs = itertools.count()
        self._sessions = itertools.count()
        self._numbers: dict[str, int] = {}
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)

    @property
    def beats(self) -> list[Beat]:
        """All beats, in the order of their writing."""
        return [beat for heartbeat in self.heartbeats for beat in heartbeat.beats]

    def open(self, function: str) -> int:
        """How many jobs of a function a scheduler believes to be waited for."""
        return sum(
            each.count if each.hook is Hook.INBOUND else -each.count
            for each in self.told
            if each.function == function
        )

    def hello(
        self, minion: str = "m1", *, credit: int = 0, held: tuple[Held, ...] = (), **said: object
    ) -> Session:
        """Opens a session, and grants it credits."""
        fields = {"protocol": 1, "queues": ["default"], "functions": ["f"], "capacity": 100, **said}
        hello = Hello(minion=minion, held=held, **fields)  # type: ignore[arg-type]
        session = self.edge.hello(hello, f"session-{next(self._sessions)}", self.now_ms)
        self.settle()
        if credit:
            self.credit(session, credit)
        return session

    def credit(self, session: Session, more: int) -> None:
        """Grants credits."""
        self.edge.credit(session, more, self.now_ms)
        self.settle()

    def dispatch(self, key: str = "k", **fields: object) -> Dispatch:
        """A dispatch of a new job, not yet read."""
        dispatch = Dispatch(
            job=f"job-{next(self._jobs)}",
            key=key,
            partition=home(key, PARTITIONS),
            queue="default",
            function="f",
            attempt=1,
            epoch=1,
            args=b"{}",
            content_type="application/json",
            timeout_ms=60_000,
            heartbeat_timeout_ms=HEARTBEAT_TIMEOUT_MS,
            created_at_ms=START_MS,
            dispatched_at_ms=START_MS,
        )
        return replace(dispatch, **fields)  # type: ignore[arg-type]

    def read(self, dispatch: Dispatch, window: Window | None = None) -> int:
        """The relay reads a dispatch from its home partition; gives its offset."""
        window = window or self.windows[dispatch.partition]
        offset = self._offsets[dispatch.partition]
        self._offsets[dispatch.partition] += 1
        self.edge.dispatched(window, offset, dispatch, 100, self.now_ms)
        self.settle()
        return offset

    def cancel(self, dispatch: Dispatch, at_ms: int = START_MS + 1) -> None:
        """The relay reads a cancel."""
        self.edge.control(
            Control(
                control="cancel",
                job=dispatch.job,
                epoch=dispatch.epoch,
                partition=dispatch.partition,
                at_ms=at_ms,
            )
        )
        self.settle()

    def sent(self, session: Session) -> list[Job]:
        """Takes the jobs out of a session's outbox, as its writer does."""
        batch = JobBatch()
        for lease, dispatch in session.outbox.jobs:
            if not lease.over:
                add_job(batch, lease, dispatch)
        session.outbox.jobs.clear()
        return list(batch.jobs)

    def notes(self, session: Session) -> list[FromRelay]:
        """Takes the notes out of a session's outbox."""
        notes = list(session.outbox.notes)
        session.outbox.notes.clear()
        return notes

    def answer(self, session: Session, job: Job, *, lease: bool = False, **fields: object) -> int:
        """The minion's receipt for a job, success unless said otherwise; gives its number."""
        number = self._numbers[session.minion] = self._numbers.get(session.minion, 0) + 1
        sound: dict[str, Any] = {"number": number, "job": job.id, "epoch": job.epoch, "outcome": SUCCESS}
        sound |= {"started_at_ms": self.now_ms, "run_ms": max(self.now_ms - job.assigned_at_ms, 0)}
        said = Said(**{**sound, **fields})
        if lease:
            said.lease.CopyFrom(held(job))
        session.heard_at_ms = self.now_ms
        self.edge.receipts(session, [said], self.now_ms)
        self.settle()
        return number

    def beat(self, session: Session, *beats: relay_pb2.Beat) -> None:
        """The minion beats."""
        session.heard_at_ms = self.now_ms
        self.edge.beats(session, beats)
        self.settle()

    def breaks(self, session: Session) -> None:
        """The session's stream breaks."""
        self.edge.broken(session, "its stream broke", self.now_ms)
        self.settle()

    def wait(self, ms: int, *heard: Session) -> None:
        """Lets time pass, tick by tick; these sessions are heard of all the while."""
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + TICK_MS, end_ms)
            for session in heard:
                session.heard_at_ms = self.now_ms
            self.edge.tick(self.now_ms)
            self.settle()

    def settle(self) -> None:
        """Takes out of the edge what is to be written; Kafka has it at once unless it is slow."""
        records, self.edge.records = self.edge.records, []
        for record in records:
            match record.event:
                case Receipt():
                    self.receipts.append(record.event)
                case Heartbeat():
                    self.heartbeats.append(record.event)
                case Announcement():
                    self.announcements.append(record.event)
        self.unstored += records
        self.remarks += self.edge.remarks
        self.edge.remarks = []
        self.told += self.edge.traffic.take()
        if not self.slow:
            self.store()

    def store(self) -> None:
        """Kafka takes all that was written."""
        unstored, self.unstored = self.unstored, []
        for record in unstored:
            self.edge.stored(record)
        if unstored:
            self.edge.go_on(self.now_ms)
            self.settle()


def held(job: Job) -> Held:
    """A job as its minion tells of it on a later session."""
    return Held(
        job=job.id,
        epoch=job.epoch,
        key=job.key,
        partition=job.partition,
        attempt=job.attempt,
        queue=job.queue,
        function=job.function,
        assigned_at_ms=job.assigned_at_ms,
        timeout_ms=job.timeout_ms,
    )
