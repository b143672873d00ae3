"""From a Submission to the record that asks for the job: its id, its key, its home, its bytes. Pure but for
the id.

What the service would refuse is refused here already where that needs no service: names, sizes, times that
contradict each other.
"""

from typing import NamedTuple

from jobstream.client.writer import Record
from jobstream.errors import BadRequest
from jobstream.functions import Submission, encode_args
from schemas.codec import encode
from schemas.events import JobRequest
from schemas.keys import home
from schemas.limits import Refused
from schemas.names import BadName, check_function, check_id, check_key, check_queue, new_id
from schemas.telemetry.context import traceparent
from schemas.unique import read_unique, unique_key


class Place(NamedTuple):
    """Where a job is: its id, its key, and the partition that the key leads to."""

    id: str
    key: str
    partition: int


def place_of(id: str | None, key: str | None, partitions: int) -> Place:
    """The place of a job with this id and key; an id left out is made, a key left out is the id.

    Raises:
        BadRequest: A name outside its pattern.
    """
    try:
        if id is not None:
            check_id(id)
        if key is not None:
            check_key(key)
    except BadName as error:
        raise BadRequest(str(error)) from None
    partition = None if key is None else home(key, partitions)
    if id is None:
        id = new_id(partition)  # the same word for the same thing
    if key is None:
        key = id
    return Place(id, key, home(key, partitions) if partition is None else partition)


def key_of(submission: Submission) -> str | None:
    """The key that it names; of a unique one that names none, what it must not do twice: so equal ones meet.

    Raises:
        BadRequest: A policy that cannot be.
    """
    if submission.key is not None or submission.unique is None:
        return submission.key
    request = JobRequest(
        function=submission.function,
        queue=submission.queue,
        args=encode_args(submission.args),
        content_type=submission.content_type,
    )
    try:
        return unique_key(request, read_unique(submission.unique))
    except Refused as refused:
        raise BadRequest(refused.sentence) from None


def request_record(submission: Submission, place: Place, topic: str, now_ms: int) -> Record:
    """The record that asks for the job, for the topic of requests. BadRequest as request_of."""
    request = request_of(submission, place, now_ms)
    return Record(topic, place.partition, place.key.encode(), encode(request))


def request_of(submission: Submission, place: Place, now_ms: int) -> JobRequest:
    """What is asked, as the service takes it.

    Args:
        submission: What is asked.
        place: Where the job will be.
        now_ms: The time that a delay counts from, epoch ms.

    Raises:
        BadRequest: What the service would refuse: a name, the size, both run_at and a delay.
    """
    try:
        check_function(submission.function)
        check_queue(submission.queue)
    except BadName as error:
        raise BadRequest(str(error)) from None
    run_at_ms = submission.run_at_ms
    if submission.delay_ms is not None:
        if run_at_ms is not None:
            raise BadRequest(
                f"a job must be given run_at or delay, got both (delay {submission.delay_ms} ms)"
            )
        run_at_ms = now_ms + submission.delay_ms
    return JobRequest(
        id=place.id,
        function=submission.function,
        queue=submission.queue,
        key=place.key,
        args=encode_args(submission.args),
        content_type=submission.content_type,
        run_at_ms=run_at_ms,
        expires_at_ms=submission.expires_at_ms,
        deadline_ms=submission.deadline_ms,
        timeout_ms=submission.timeout_ms,
        heartbeat_timeout_ms=submission.heartbeat_timeout_ms,
        expected_ms=submission.expected_ms,
        retry_kind=submission.retry_kind,
        retry_initial_ms=submission.retry_initial_ms,
        retry_factor=submission.retry_factor,
        retry_cap_ms=submission.retry_cap_ms,
        retry_jitter=submission.retry_jitter,
        attempts_max=submission.attempts_max,
        lost_max=submission.lost_max,
        non_retryable=submission.non_retryable,
        priority=submission.priority,
        tags=submission.tags,
        parent=submission.parent,
        trace=submission.trace or traceparent(),
        expires_after_ms=submission.expires_after_ms,
        retention_ms=submission.retention_ms,
        result_retention_ms=submission.result_retention_ms,
        unique=submission.unique,
    )
