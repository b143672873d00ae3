"""Background jobs of the Gearman door as requests in Kafka."""

from collections.abc import Callable

from relay.core.call import Priority
from relay.doors.gearman.desk import Background, BadJob
from relay.requests import Refused, Requests, Taken
from schemas.defaults import ARGS_BYTES_MAX, QUEUE, RUN_AT_AHEAD_MS_MAX
from schemas.events import JobRequest
from schemas.names import BadName, check_function

_BANDS = {Priority.HIGH: "high", Priority.NORMAL: None, Priority.LOW: "low"}


class KafkaDesk:
    """Puts jobs on the topic of requests, on the default queue."""

    def __init__(self, requests: Requests, now_ms: Callable[[], int]) -> None:
        self._requests = requests
        self._now_ms = now_ms

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
        try:
            self._requests.write(request, taken)
        except Refused as refused:
            raise BadJob(str(refused)) from None
        return id
