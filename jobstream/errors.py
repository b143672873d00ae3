"""Every error that the client, the topics verbs and the dev cluster raise on purpose.

One base, and each class says in one sentence what happened, with the value found. It owns no behaviour, and
must stay free of imports, since it is loaded by everything that users touch.
"""


class JobstreamError(Exception):
    """Base of every error that this package raises on purpose; its text is a sentence for people."""


class BadRequest(JobstreamError, ValueError):
    """What was asked cannot be asked: a value outside its limits; nothing was written."""


class NotReachable(JobstreamError):
    """A service did not answer: Kafka, or the status pages."""


class TopicsMissing(JobstreamError):
    """Kafka answers, but the topics of the prefix are not there."""


class TopicRefused(JobstreamError):
    """Kafka refused to create or alter a topic."""


class SubmitFailed(JobstreamError):
    """Kafka refused the record for good: the job was not accepted.

    Attributes:
        ids: Ids of the jobs (or schedules) that were refused.
    """

    def __init__(self, sentence: str, ids: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.ids = ids


class SubmitTimedOut(JobstreamError):
    """Kafka did not confirm the record in time: the job may or may not be accepted.

    Submitting again with the same id is safe: the job that exists answers.

    Attributes:
        ids: Ids of the jobs (or schedules) that were not confirmed.
    """

    def __init__(self, sentence: str, ids: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.ids = ids


class WaitTimedOut(JobstreamError, TimeoutError):
    """The job had not ended in the time given; it goes on all the same."""


class CommandRefused(JobstreamError):
    """The service refused a command or a schedule, and changed nothing.

    Attributes:
        code: Why, as one word for programs: `unknown_job`, `not_now`, ...; None where it was not told.
    """

    def __init__(self, sentence: str, code: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class JobUnknown(JobstreamError, LookupError):
    """No job of that id is kept."""


class JobEnded(JobstreamError):
    """Base of the ends of a job that are not a success.

    Attributes:
        id: Id of the job.
    """

    def __init__(self, sentence: str, id: str) -> None:
        super().__init__(sentence)
        self.id = id


class JobDead(JobEnded):
    """The job failed and will not be tried again.

    Attributes:
        error_type: Type of the last error, None where it had none.
        message: Words of the last error.
        attempts: How many attempts there were.
    """

    def __init__(self, id: str, error_type: str | None, message: str | None, attempts: int) -> None:
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(
            f"job {id} is dead after {tries}: {error_type or 'error'}: {message or 'no message'}", id
        )
        self.error_type = error_type
        self.message = message
        self.attempts = attempts


class JobCancelled(JobEnded):
    """The job was cancelled."""

    def __init__(self, id: str, reason: str | None) -> None:
        super().__init__(f"job {id} was cancelled" + (f": {reason}" if reason else ""), id)
        self.reason = reason


class JobExpired(JobEnded):
    """The job was not started before its expiry."""

    def __init__(self, id: str) -> None:
        super().__init__(f"job {id} expired: it was not started in time", id)


class JobRejected(JobEnded):
    """The service refused the request; no such job runs.

    Attributes:
        reason: Why, as a sentence with the value found.
    """

    def __init__(self, id: str, reason: str | None) -> None:
        super().__init__(f"job {id} was rejected: {reason or 'no reason was given'}", id)
        self.reason = reason


class CallEnded(JobstreamError):
    """Base of the ends of a foreground call that are not its answer.

    Attributes:
        function: What was called.
    """

    def __init__(self, function: str, sentence: str) -> None:
        super().__init__(f"the call of {function} ended without an answer: {sentence}")
        self.function = function


class CallNotTaken(CallEnded):
    """No minion of any relay took the call in time, and none will: it may be made again."""


class CallFailed(CallEnded):
    """The function raised.

    Attributes:
        error_type: Type of its error; empty where it had none.
        message: Words of its error.
        trace: Where it was; empty where that is not known.
        non_retryable: It said that trying again is in vain.
    """

    def __init__(
        self, function: str, error_type: str, message: str, trace: str, *, non_retryable: bool
    ) -> None:
        super().__init__(function, f"{error_type or 'error'}: {message or 'no message'}")
        self.error_type = error_type
        self.message = message
        self.trace = trace
        self.non_retryable = non_retryable


class CallTimedOut(CallEnded, TimeoutError):
    """It ran longer than its caller gave it; its minion was told to stop."""


class CallLost(CallEnded):
    """Its minion or its relay vanished while it may have run: it may have done a part, or all."""


class CallCancelled(CallEnded):
    """The function ended as cancelled."""


class BadFunction(JobstreamError, ValueError):
    """A function or resource cannot be declared, or a minion cannot be made of it, as it is."""


class BadArguments(JobstreamError, TypeError):
    """The arguments do not fit the function; on a minion the attempt fails and is not tried again."""


class BadResult(JobstreamError, TypeError):
    """The function returned what no receipt can carry; the attempt fails and is not tried again."""


class ResultTooLarge(BadResult):
    """The encoded result is above its limit."""


class CheckpointTooLarge(JobstreamError, ValueError):
    """The encoded checkpoint is above its limit."""


class ResourceFailed(JobstreamError):
    """A resource could not be opened; the minion does not start."""


class Timeout(JobstreamError):
    """The attempt ran longer than it may."""


class ProcessDied(JobstreamError):
    """The process that ran the attempt ended without an answer."""


class Fail(JobstreamError):
    """A function raises it to fail its attempt and to say when to try again.

    Attributes:
        retry_after: Seconds until the next attempt, instead of the delay of the retry policy; None: by the
        policy.
    """

    def __init__(self, sentence: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        if retry_after is not None and not retry_after >= 0:
            raise BadRequest(f"retry_after must be seconds from 0 up, got {retry_after!r}")
        self.retry_after = retry_after


class NonRetryable(JobstreamError):
    """A function raises it to fail its job for good: no further attempt is made."""


class Snooze(JobstreamError):
    """A function raises it to be put off; that counts as no attempt.

    Attributes:
        delay: Seconds until the function runs again.
    """

    def __init__(self, delay: float, sentence: str = "") -> None:
        super().__init__(sentence)
        if not delay >= 0:
            raise BadRequest(f"delay must be seconds from 0 up, got {delay!r}")
        self.delay = delay


class Cancelled(JobstreamError):
    """A function raises it when it stops because it was asked to; its job ends as cancelled."""
