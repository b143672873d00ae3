"""Dramatiq as a user would set it up for work that must not get lost: Redis as broker and result backend,
results kept; all else at its defaults, so as many processes as cores with eight threads each. It always
acknowledges late.

Owns its settings and its two actors. The worker calls `set_up`, which finds the server's URL in BENCH_REDIS.
"""

import os
import sys
from typing import Any, Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from dramatiq.results.errors import ResultError

from tests.bench.functions import clock_ns, nothing

PACKAGES: Final = ("dramatiq", "redis")
RESULTS: Final = 1
"""The number of the database with the results; one key for each message that ended."""
MS_PER_S: Final = 1_000


def worker(url: str) -> list[str]:
    """The command that runs a worker."""
    return ["env", f"BENCH_REDIS={url}", sys.executable, "-m", "dramatiq", "tests.bench.dramatiq_app:set_up"]


def set_up() -> None:
    """What each process of the worker begins with."""
    dramatiq.set_broker(broker(os.environ["BENCH_REDIS"]))


class Client:
    """Who sends messages."""

    def __init__(self, url: str) -> None:
        self._broker = broker(url)
        self._asked: list[Any] = []

    def noop(self, value: str) -> None:
        """Asks for a call that does nothing."""
        self._asked.append(self._broker.get_actor("bench.noop").send(value))

    def started_ns(self, timeout_s: float) -> int:
        """Asks for a look at the clock, and waits for what was seen; epoch ns."""
        message = self._broker.get_actor("bench.stamp").send()
        return int(message.get_result(backend=self._results, block=True, timeout=int(timeout_s * MS_PER_S)))

    def failed(self) -> int:
        """How many of these calls did not succeed; they are forgotten."""
        asked, self._asked = self._asked, []
        return sum(not self._succeeded(each) for each in asked)

    def close(self) -> None:
        """Before the server ends."""
        self._broker.close()

    @property
    def _results(self) -> Any:
        return self._broker.get_results_backend()

    def _succeeded(self, message: Any) -> bool:
        try:
            return message.get_result(backend=self._results) is None
        except ResultError:
            return False


def broker(url: str) -> RedisBroker:
    """The broker with its actors, the same for both sides."""
    made = RedisBroker(url=f"{url}/0")
    made.add_middleware(Results(backend=RedisBackend(url=f"{url}/{RESULTS}"), store_results=True))
    dramatiq.actor(nothing, actor_name="bench.noop", broker=made)
    dramatiq.actor(clock_ns, actor_name="bench.stamp", broker=made)
    return made
