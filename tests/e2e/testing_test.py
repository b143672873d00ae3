"""The page's example on a real Kafka, and the plugin's fixtures that start one."""

from pathlib import Path

import pytest

from tests.unit.testing.docs_test import ON_KAFKA, run_examples, write_examples


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_page_s_example_on_a_real_kafka_runs(bootstrap: str, tmp_path: Path) -> None:
    """With the broker of the run: streams, a relay and a minion of its own."""
    assert ON_KAFKA in write_examples(tmp_path)
    assert "1 passed" in run_examples(tmp_path, [ON_KAFKA], JOBSTREAM_BOOTSTRAP=bootstrap)
