"""How far a durable job is, as the streams workers' status pages tell: for doors of the relay's own process.

Owns the knowledge of where the workers are, which they write themselves, and asks the one that has the
job's partition. Keeps no job: every answer is asked for anew.
"""

import asyncio
import contextlib
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote

from confluent_kafka import Message

from relay.control import ControlTail
from schemas.codec import Undecodable, decode
from schemas.defaults import WORKER_GONE_MS
from schemas.events import Worker
from schemas.names import likely_homes
from schemas.topics import Topics

log = logging.getLogger("relay.standings")

ANSWER_S: Final = 3.0
"""How long a worker may take to answer."""

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one answer."""

_OPEN: Final = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Proxies of the environment are for other people's pages."""


class Unclear(Exception):
    """Nobody can tell at the moment; the text is a sentence."""


class Standings:
    """Asks for jobs of doors: their key is their id, or their id has their partition as a hint. All of it
    belongs to the event loop.
    """

    def __init__(self, config: Mapping[str, Any], topics: Topics, now_ms: Callable[[], int]) -> None:
        self._topics = topics
        self._now_ms = now_ms
        self._workers: dict[str, Worker] = {}
        self._tail = ControlTail(config, topics.workers, self._take, log.error)

    async def job(self, id: str) -> Mapping[str, Any] | None:
        """What the worker that has the job says of it; None if there is none such.

        Raises:
            Unclear: no worker has its partition at the moment, or that one does not answer.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._tail.whole()
        for partition in likely_homes(id, self._topics.partitions):
            found = await asyncio.to_thread(_ask, self._page(partition), id)
            if found is not None:
                return found
        return None

    def _page(self, partition: int) -> str:
        """Where the worker that has a partition shows its pages, host:port."""
        oldest_ms = self._now_ms() - WORKER_GONE_MS
        for worker in self._workers.values():
            if partition in worker.partitions and worker.at_ms > oldest_ms:
                return worker.web
        raise Unclear(f"no streams worker is known that has partition {partition}")

    async def stop(self) -> None:
        """Ends the thread."""
        await self._tail.stop()

    def abandon(self) -> None:
        """Lets the thread end, without waiting for it."""
        self._tail.abandon()

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            value = message.value()
            if value is None:
                continue
            try:
                worker = decode(value, (Worker,))
            except Undecodable as bad:
                log.warning("worker skipped: %s offset=%d", bad, message.offset())
            else:
                self._workers[worker.instance] = worker


def _ask(web: str, id: str) -> Mapping[str, Any] | None:
    try:
        with _OPEN(f"http://{web}/jobstream/job/{quote(id, safe='')}", timeout=ANSWER_S) as answer:
            found = json.loads(answer.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
        raise Unclear(f"the worker of the job answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unclear(f"the worker of the job does not answer: {error}") from None
    if not isinstance(found, dict):
        raise Unclear(f"the worker of the job answered {type(found).__name__}, and no object")
    return found
