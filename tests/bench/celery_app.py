"""Celery as a user would set it up for work that must not get lost: Redis as broker and result backend, late
acknowledgement, results kept; all else at its defaults, so as many processes as cores.

Owns its settings and its two tasks. As a program it is the worker: `python -m tests.bench.celery_app URL`.
"""

import sys
from typing import Any, Final

from celery import Celery

from tests.bench.functions import clock_ns, nothing

PACKAGES: Final = ("celery", "kombu", "redis")
RESULTS: Final = 1
"""The number of the database with the results; one key for each task that ended."""


def worker(url: str) -> list[str]:
    """The command that runs a worker."""
    return [sys.executable, "-m", "tests.bench.celery_app", url]


class Client:
    """Who asks for tasks."""

    def __init__(self, url: str) -> None:
        self._app = app(url)
        self._asked: list[Any] = []

    def noop(self, value: str) -> None:
        """Asks for a task that does nothing."""
        self._asked.append(self._app.tasks["bench.noop"].delay(value))

    def started_ns(self, timeout_s: float) -> int:
        """Asks for a task that looks at the clock, and waits for what it saw; epoch ns."""
        return int(self._app.tasks["bench.stamp"].delay().get(timeout=timeout_s))

    def failed(self) -> int:
        """How many of these tasks did not succeed; they are forgotten."""
        asked, self._asked = self._asked, []
        return sum(not each.successful() for each in asked)

    def close(self) -> None:
        """Before the server ends: a result that is dropped later would look for it for half a minute."""
        self._asked.clear()
        self._app.close()


def app(url: str) -> Celery:
    """The application, the same for both sides."""
    made = Celery("bench", broker=f"{url}/0", backend=f"{url}/{RESULTS}")
    made.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_connection_retry_on_startup=True,
    )
    made.task(nothing, name="bench.noop")
    made.task(clock_ns, name="bench.stamp")
    made.finalize()
    return made


if __name__ == "__main__":
    app(sys.argv[1]).worker_main(["worker"])
