"""What is shown of a job that is waited for."""

import pytest

from jobstream.cli.progress_view import told
from schemas.events import Fact


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fact": "admitted"}, "admitted"),
        ({"fact": "progressed", "phase": "leased", "step": "parse"}, "leased: parse"),
        ({"fact": "progressed", "phase": "leased"}, "progressed"),
        ({"fact": "failed", "attempt": 2, "error_type": "ValueError"}, "attempt 2 failed: ValueError"),
        ({"fact": "cancel_requested"}, "cancel requested"),
    ],
)
def test_a_fact_in_a_few_words(fields: dict[str, object], words: str) -> None:
    """The step where there is one, the error of a failure, and else the fact itself."""
    said: dict[str, object] = {"job": "j", "key": "k", "partition": 0, "at_ms": 1, "attempt": 1}
    assert told(Fact(**(said | fields))) == words  # type: ignore[arg-type]
