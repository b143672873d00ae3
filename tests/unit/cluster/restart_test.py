"""When a part of the cluster is started again."""

from jobstream.cluster.up import BACKOFF_S, EXIT_FENCED, FENCED_S, pause_before
from streams.transport.crash import Exit


def test_what_ends_again_and_again_waits_longer() -> None:
    """At once the first time, or after a long life; then the pauses grow and stay at the last."""
    assert [pause_before(soon, Exit.AGENT) for soon in range(4)] == [0.0, *BACKOFF_S[:3]]
    assert pause_before(99, -9) == BACKOFF_S[-1]


def test_a_worker_whose_slot_was_taken_is_not_started_at_once() -> None:
    """Whatever the life before it: two that claim one slot would throw each other out for ever."""
    assert EXIT_FENCED == Exit.FENCED
    assert pause_before(0, Exit.FENCED) == pause_before(9, Exit.FENCED) == FENCED_S > BACKOFF_S[-1]
