"""The names that users import from the package."""

import subprocess
import sys

import pytest

import jobstream


@pytest.mark.parametrize("name", jobstream.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name that is announced can be had, is listed, and is what its own module defines."""
    value = getattr(jobstream, name)
    assert value.__name__ == name
    assert name in dir(jobstream)


def test_other_names_are_not() -> None:
    """A name that is not public is an AttributeError, as with any module."""
    with pytest.raises(AttributeError, match="module 'jobstream' has no attribute 'nothing'"):
        jobstream.nothing  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


def test_writing_functions_needs_no_kafka_client() -> None:
    """What a minion's module imports loads neither a Kafka client nor Faust nor the command line."""
    script = """
from jobstream import Context, NonRetryable, Retry, Snooze, function, resource
import sys
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"confluent_kafka", "aiokafka", "faust", "typer", "rich"}.isdisjoint(done.stdout.split())
