"""The status pages of jobs in memory: what `Client.status` and its kind are answered in tests.

Says what streams/README.md documents, from the same functions of the core. Only ever reads.
"""

from collections import Counter
from typing import Any

from jobstream.client.pages import Pages
from jobstream.errors import JobUnknown
from jobstream.testing.machine import HOME, Machine
from schemas.times import format_time


class LocalPages(Pages):
    """The pages of one machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__("http://nowhere")
        self._machine = machine

    def status(self, id: str, key: str | None = None) -> dict[str, Any]:
        """As Pages.status."""
        from streams.core.status import job_status

        row = self._machine.job(id)
        if row is None or key not in (None, row.spec.key):
            raise JobUnknown(f"no job {id} is kept")
        machine = self._machine
        return dict(job_status(row, machine.now_ms, machine.args(row), machine.config))

    def list(self, queue: str, phase: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """As Pages.list; each job is told whole."""
        rows = [row for row in self._machine.jobs() if row.spec.queue == queue and phase in (None, row.phase)]
        shown = [self.status(row.spec.id) for row in rows[::-1][:limit]]
        page: dict[str, Any] = {"queue": queue, "phase": phase, "total": len(rows), "jobs": shown}
        return {"now": format_time(self._machine.now_ms), **page, "next": None}

    def counts(self) -> dict[str, Any]:
        """As Pages.counts."""
        queues: dict[str, Counter[str]] = {}
        for row in self._machine.jobs():
            queues.setdefault(row.spec.queue, Counter())[str(row.phase)] += 1
        phases = sum(queues.values(), Counter[str]())
        return {
            "now": format_time(self._machine.now_ms),
            "total": phases.total(),
            "phases": dict(phases),
            "queues": {queue: dict(counts) for queue, counts in sorted(queues.items())},
        }

    def schedules(self, id: str | None = None) -> dict[str, Any]:
        """As Pages.schedules."""
        from streams.core.status import schedule_status

        now_ms = self._machine.now_ms
        known = [row for row in self._machine.schedules() if id in (None, row.id)]
        rows = sorted(known, key=lambda row: row.id)
        shown = [schedule_status(row, now_ms) for row in rows]
        return {"now": format_time(now_ms), "schedules": shown, "partitions": [HOME], "partitions_total": 1}
