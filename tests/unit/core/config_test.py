"""What operators say: which entries can be, which change counts, and what is in force for a job."""

from typing import Any

import pytest

from schemas.events import ConfigChanged, ConfigRow, FunctionConfig, QueueConfig
from schemas.words import LanePolicy, RejectCode
from streams.core import config
from streams.core.admission import SPEC
from streams.core.config import NOTHING_SAID, Config, Option

MAIL = QueueConfig(queue="mail", timeout_ms=5_000, attempts_max=9)
SEND = FunctionConfig(function="mail.send", attempts_max=2)


PAUSED = QueueConfig(queue="mail", paused=True, note="moving", by="ops")


@pytest.mark.parametrize("entry", [MAIL, SEND, PAUSED])
def test_an_entry_that_can_be(entry: config.Entry) -> None:
    """Under its own key."""
    assert config.check(config.key_of(entry), entry) is None


@pytest.mark.parametrize(
    ("entry", "code", "words"),
    [
        (QueueConfig(queue="Mail"), RejectCode.BAD_NAME, "Mail"),
        (FunctionConfig(function="a b"), RejectCode.BAD_NAME, "a b"),
        (QueueConfig(queue="mail", timeout_ms=0), RejectCode.BAD_FIELD, "timeout_ms must be from 1"),
        (FunctionConfig(function="f", retry_kind="often"), RejectCode.BAD_RETRY, "got 'often'"),
        (QueueConfig(queue="mail", order="fifo"), RejectCode.BAD_FIELD, "key_waits, key_ahead, got 'fifo'"),
        (QueueConfig(queue="mail", note=""), RejectCode.BAD_FIELD, "note must be 1 to"),
    ],
)
def test_an_entry_that_cannot_be(entry: config.Entry, code: RejectCode, words: str) -> None:
    """Names, limits and notes are those of requests."""
    refusal = config.check(config.key_of(entry), entry)
    assert refusal is not None
    assert refusal.code == code
    assert words in refusal.reason


def test_an_entry_stands_under_its_own_key() -> None:
    """A record whose key is another's is refused."""
    refusal = config.check("queue/post", MAIL)
    assert refusal is not None
    assert refusal.code == RejectCode.KEY_CONFLICT
    assert refusal.reason == "the record's key must be queue/mail, which it is about, got queue/post"


def test_the_order_of_the_config_topic_counts() -> None:
    """A change is taken over once; an older one, as another worker may write late, changes nothing."""
    first = config.step(None, ConfigChanged(entry="queue/mail", offset=7, value=b"a"), 100)
    assert first == ConfigRow(entry="queue/mail", offset=7, value=b"a", applied_requests=100)
    assert config.step(first, ConfigChanged(entry="queue/mail", offset=7, value=b"a"), 101) is None
    assert config.step(first, ConfigChanged(entry="queue/mail", offset=6, value=b"z"), 102) is None
    removed = config.step(first, ConfigChanged(entry="queue/mail", offset=8), 103)
    assert removed == ConfigRow(entry="queue/mail", offset=8, applied_requests=103)


@pytest.mark.parametrize(
    ("queue", "function", "said"),
    [
        ("mail", "mail.send", {"timeout_ms": 5_000, "attempts_max": 2}),
        ("mail", "other", {"timeout_ms": 5_000, "attempts_max": 9}),
        ("default", "mail.send", {"attempts_max": 2}),
        ("default", "other", {}),
    ],
)
def test_a_function_s_entry_comes_before_its_queue_s(queue: str, function: str, said: dict[str, Any]) -> None:
    """And each leaves to the next what it does not say."""
    assert Config.of([MAIL, SEND]).options(queue, function) == said


def test_what_is_in_force_says_why() -> None:
    """Every option has its value and the entry that it comes from."""
    found = {each.name: each for each in Config.of([SEND, MAIL]).in_force("mail", "mail.send", SPEC)}
    assert tuple(found) == config.OPTIONS
    assert found["attempts_max"] == Option("attempts_max", 2, "function/mail.send")
    assert found["timeout_ms"] == Option("timeout_ms", 5_000, "queue/mail")
    assert found["retry_kind"] == Option("retry_kind", "exponential", "built-in")


def test_the_order_of_a_queue_is_said_by_its_entry() -> None:
    """Where it says nothing, by whoever else does."""
    goes_on, waits = LanePolicy.GOES_ON, LanePolicy.WAITS
    assert NOTHING_SAID.lane("mail", goes_on) == goes_on
    assert Config.of([MAIL]).lane("mail", None) is None
    orders = {"none": None, "key": goes_on, "key_waits": waits, "key_ahead": LanePolicy.AHEAD}
    for order, policy in orders.items():
        found = Config.of([QueueConfig(queue="mail", order=order)])
        assert found.lane("mail", goes_on) == policy
        assert found.order("mail") == Option("order", order, "queue/mail")
    assert NOTHING_SAID.order("mail") == Option("order", "none", "built-in")


def test_a_queue_is_paused_by_its_entry() -> None:
    """And by nothing else."""
    assert not NOTHING_SAID.paused("mail")
    assert not Config.of([MAIL]).paused("mail")
    assert Config.of([PAUSED]).paused("mail")


def test_what_an_entry_says_has_the_order_of_its_queue() -> None:
    """Which is no option of one job; what it leaves to others is left out."""
    assert config.said_of(QueueConfig(queue="mail", order="key", timeout_ms=5)) == {
        "timeout_ms": 5,
        "order": "key",
    }
    assert config.said_of(QueueConfig(queue="mail")) == {}
    assert config.said_of(FunctionConfig(function="f", lost_max=2)) == {"lost_max": 2}
