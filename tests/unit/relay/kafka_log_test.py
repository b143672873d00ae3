"""Lines of librdkafka: each once in a while, and nothing new is lost."""

import logging

from relay.kafka_log import LINES_MAX, REPEAT_S, Once


class Told:
    """What passes, and the clock."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.once = Once(lambda: self.now_s)

    def say(self, line: str) -> str | None:
        """The line as it is told; None: it is not."""
        record = logging.LogRecord("relay.kafka", logging.ERROR, "", 0, "%s", (line,), None)
        return record.getMessage() if self.once.filter(record) else None


def test_a_line_is_told_once_in_a_while() -> None:
    """Though the time in it differs; then with how often it would have been there."""
    told = Told()
    assert told.say("Connection refused (after 1ms)") == "Connection refused (after 1ms)"
    for number in range(5):
        assert told.say(f"Connection refused (after {number}ms)") is None
    assert told.say("broker 2: Connection refused (after 1ms)") is not None
    assert told.say("Disconnected") == "Disconnected"
    told.now_s += REPEAT_S
    assert told.say("Connection refused (after 9ms)") == "Connection refused (after 9ms) (and 5 times before)"
    assert told.say("Disconnected") == "Disconnected"


def test_what_is_remembered_is_bounded() -> None:
    """However many different lines there are."""
    told = Told()
    for number in range(2 * LINES_MAX):
        assert told.say("x" * number) is not None
    assert len(told.once._told) <= LINES_MAX
