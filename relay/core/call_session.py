"""A minion's session as a worker of foreground calls, and what it says of them.

Owns the translation between the minion protocol and the calls' machine. How calls and durable jobs share a
session's places is the session's.
"""

from relay.core.call import CallOutcome, End, Rule, Run, Word, WordKind, Worker
from relay.core.session import Breach, Session
from schemas.defaults import (
    CACHE_MS_MAX,
    CALL_BYTES_MAX,
    CONTENT_TYPE_CHARS_MAX,
    ERROR_MESSAGE_CHARS_MAX,
    ERROR_TRACE_CHARS_MAX,
    ERROR_TYPE_CHARS_MAX,
    NAME_CHARS_MAX,
)
from schemas.proto import relay_pb2

CACHE_FIELDS_MAX = 50
"""Arguments that one rule may name."""


class SessionWorker(Worker):
    """What the calls' machine sees of a session."""

    def __init__(self, session: Session, said: relay_pb2.Hello) -> None:
        rules = {rule.function: rule_of(rule) for rule in said.rules if rule.function in session.functions}
        super().__init__(session.minion, session.functions, frozenset(said.areas), rules=rules)
        self._session = session

    def room(self) -> int:
        """How many more calls it takes now."""
        return self._session.room_for_calls()

    def spend(self, now_ms: int) -> None:
        """A run was given to it."""
        self._session.spend_on_call(now_ms)


def rule_of(said: relay_pb2.FunctionRule) -> Rule:
    """What a minion says of a function's calls; raises Breach outside the limits."""
    if not 0 <= said.cache_ms <= CACHE_MS_MAX:
        raise Breach(f"cache_ms of {said.function} must be 0 to {CACHE_MS_MAX}, got {said.cache_ms}")
    if len(said.cache_fields) > CACHE_FIELDS_MAX:
        raise Breach(
            f"cache_fields of {said.function} must be at most {CACHE_FIELDS_MAX}, "
            f"got {len(said.cache_fields)}"
        )
    for name in said.cache_fields:
        if len(name) > NAME_CHARS_MAX:
            raise Breach(f"a cache field must have at most {NAME_CHARS_MAX} characters, got {len(name)}")
    return Rule(said.coalesce, said.cache_ms, tuple(said.cache_fields))


def add_run(batch: relay_pb2.CallBatch, run: Run, now_ms: int) -> None:
    """Puts a run into a message to the minion that got it. In place: what is put into another is copied."""
    batch.runs.add(
        run=run.number,
        function=run.function,
        args=run.args,
        content_type=run.content_type,
        timeout_ms=run.running_ms(now_ms) or 0,
        unique=run.unique.encode(errors="replace").decode(),  # a Gearman client's may be any bytes
        trace=run.trace,
        called_at_ms=run.calls[0].asked_at_ms if run.calls else now_ms,
    )


def word_of(said: relay_pb2.RunWord) -> Word:
    """What a minion says of a run that goes on; raises Breach if it is nothing, or too large."""
    kind = said.WhichOneof("word")
    match kind:
        case "data":
            word = Word(WordKind.DATA, said.data)
        case "status":
            word = Word(WordKind.STATUS, b"", said.status.done, said.status.total)
        case "warning":
            word = Word(WordKind.WARNING, said.warning)
        case "exception":
            word = Word(WordKind.EXCEPTION, said.exception)
        case _:
            raise Breach(
                f"a word on run {said.run} must be data, status, warning, exception or end, got none"
            )
    if len(word.data) > CALL_BYTES_MAX:
        raise Breach(f"{kind} of run {said.run} must be at most {CALL_BYTES_MAX} bytes, got {len(word.data)}")
    return word


def end_of(said: relay_pb2.Receipt, session: Session) -> End | None:
    """How a minion says that a run ended; None: it has not begun it, and gives it back. Raises Breach."""
    match said.outcome:
        case relay_pb2.SUCCESS if len(said.result) > CALL_BYTES_MAX:
            sentence = f"the result of a call must be at most {CALL_BYTES_MAX} bytes, got {len(said.result)}"
            return End(CallOutcome.FAILED, error_type="ResultTooLarge", error_message=sentence)
        case relay_pb2.SUCCESS:
            result_type = said.result_type[:CONTENT_TYPE_CHARS_MAX]
            return End(CallOutcome.COMPLETE, said.result, result_type, cached=said.cached)
        case relay_pb2.FAILURE:
            return End(
                CallOutcome.FAILED,
                error_type=said.error_type[:ERROR_TYPE_CHARS_MAX],
                error_message=said.error_message[:ERROR_MESSAGE_CHARS_MAX],
                error_trace=said.error_trace[:ERROR_TRACE_CHARS_MAX],
                non_retryable=said.non_retryable,
            )
        case relay_pb2.CANCELLED:
            return End(CallOutcome.CANCELLED, error_message=said.error_message[:ERROR_MESSAGE_CHARS_MAX])
        case relay_pb2.INTERRUPTED if not said.started_at_ms:
            return None
        case relay_pb2.INTERRUPTED:
            sentence = f"minion {session.minion} went away before the call ended"
            return End(CallOutcome.LOST, error_message=sentence)
        case relay_pb2.SNOOZE:
            sentence = "the function wants to be put off, which a call cannot be"
            return End(CallOutcome.FAILED, error_type="Snooze", error_message=sentence)
        case other:
            raise Breach(f"the outcome of a run must be one of the protocol's, got {other}")


REPLIES = {
    CallOutcome.COMPLETE: relay_pb2.COMPLETE,
    CallOutcome.FAILED: relay_pb2.FAILED,
    CallOutcome.ROUTING_TIMEOUT: relay_pb2.ROUTING_TIMEOUT,
    CallOutcome.REFUSED: relay_pb2.REFUSED,
    CallOutcome.RUNNING_TIMEOUT: relay_pb2.RUNNING_TIMEOUT,
    CallOutcome.LOST: relay_pb2.CALL_LOST,
    CallOutcome.CANCELLED: relay_pb2.CALL_CANCELLED,
}
"""How an end is told to a caller."""
