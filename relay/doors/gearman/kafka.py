"""Background jobs of the Gearman door as requests in Kafka."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from relay.core.call import Priority
from relay.doors.gearman.desk import Background, BadJob, Standing, Unclear
from relay.requests import Refused, Requests, Taken
from relay.standings import Standings
from relay.standings import Unclear as Untold
from schemas.defaults import ARGS_BYTES_MAX, QUEUE, RUN_AT_AHEAD_MS_MAX
from schemas.events import JobRequest
from schemas.names import BadName, check_function
from schemas.unique import read_unique, unique_key
from schemas.words import PHASES_TERMINAL, Phase

FRESH_MS = 10_000
"""How long after its submit a job that the pages do not know is taken to be on its way to them."""

ONCE = "{}"
"""The policy of a job that is not asked for twice before it has ended."""

_BANDS = {Priority.HIGH: "high", Priority.NORMAL: None, Priority.LOW: "low"}


class KafkaDesk:
    """Puts jobs on the topic of requests, on the default queue."""

    def __init__(self, requests: Requests, standings: Standings, now_ms: Callable[[], int]) -> None:
        self._requests = requests
        self._standings = standings
        self._now_ms = now_ms
        self._fresh: OrderedDict[str, int] = OrderedDict()
        """Jobs that Kafka has just been given, which the pages may not show yet, and when."""

    def submit(self, job: Background, taken: Taken) -> str:
        """Hands a job on; its id. BadJob: a name or a size that the service would refuse, or Kafka is
        behind.
        """
        try:
            check_function(job.function)
        except BadName as bad:
            raise BadJob(str(bad)) from None
        if len(job.data) > ARGS_BYTES_MAX:
            raise BadJob(
                f"data of a background job must be at most {ARGS_BYTES_MAX} bytes, got {len(job.data)}"
            )
        if job.run_at_ms is not None and job.run_at_ms > self._now_ms() + RUN_AT_AHEAD_MS_MAX:
            days = RUN_AT_AHEAD_MS_MAX // 86_400_000
            raise BadJob(f"a job must be due within {days} days, got {job.run_at_ms} ms since 1970")
        id = self._requests.new_id()
        request = JobRequest(
            id=id,
            function=job.function,
            queue=QUEUE,
            args=job.data,
            content_type=job.content_type,
            run_at_ms=job.run_at_ms,
            priority=_BANDS[job.priority],
        )
        if job.once:
            key = unique_key(request, read_unique(ONCE))
            id = self._requests.new_id(key)
            request = replace(request, id=id, key=key, unique=ONCE)
        try:
            self._requests.write(request, taken)
        except Refused as refused:
            raise BadJob(str(refused)) from None
        self._fresh[id] = self._now_ms()
        while self._fresh and next(iter(self._fresh.values())) < self._now_ms() - FRESH_MS:
            self._fresh.popitem(last=False)
        return id

    async def standing(self, job: str) -> Standing:
        """As the status pages tell."""
        try:
            found = await self._standings.job(job)
        except Untold as unclear:
            raise Unclear(str(unclear)) from None
        if found is None:
            return Standing(known=self._fresh.get(job, 0) > self._now_ms() - FRESH_MS)
        done, total = found.get("done"), found.get("total")
        return Standing(
            known=found.get("phase") not in PHASES_TERMINAL,
            running=found.get("phase") == Phase.LEASED,
            done=done if isinstance(done, int) else 0,
            total=total if isinstance(total, int) else 0,
        )
