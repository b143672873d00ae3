"""The start-up checks of what the transport relies on."""

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver

from streams.transport import selftest as module
from streams.transport.selftest import METHODS, SOURCES, VERSIONS, selftest


def test_what_is_installed_fits() -> None:
    """Nothing to say."""
    selftest()


def test_another_version_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the one that is wanted and the one that is there."""
    monkeypatch.setitem(VERSIONS, "faust-streaming", "0.15.4")
    with pytest.raises(ImproperlyConfigured, match=r"faust-streaming must be 0\.15\.4\*, got 0\.15\.3"):
        selftest()


def test_a_version_that_only_begins_alike_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.15.3 is not 0.15.30, nor is 0.1 a prefix of it."""
    monkeypatch.setitem(VERSIONS, "faust-streaming", "0.1")
    with pytest.raises(ImproperlyConfigured, match="faust-streaming must be"):
        selftest()


def test_a_method_that_is_gone_or_changed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """By class and name, all findings in one sentence."""
    monkeypatch.setitem(METHODS, faust.Agent, {"_gone": ()})
    monkeypatch.setitem(METHODS, driver.Consumer, {"perform_seek": ("offset",)})
    with pytest.raises(ImproperlyConfigured) as found:
        selftest()
    assert "Agent._gone must take (), got (no such method)" in str(found.value)
    assert "Consumer.perform_seek must take (offset), got ()" in str(found.value)


def test_an_attribute_that_is_gone_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its module would spell it."""
    monkeypatch.setitem(SOURCES, AIOKafkaConsumer, ("self._gone",))
    with pytest.raises(ImproperlyConfigured, match=r"AIOKafkaConsumer must have self\._gone"):
        selftest()


def test_a_task_that_is_gone_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replacement for a task that does not exist would never run, or run besides the one it replaces."""
    monkeypatch.setattr(module, "TASKS", ("_gone",))
    with pytest.raises(ImproperlyConfigured, match=r"Recovery\._gone must be a service task"):
        selftest()


def test_other_group_metadata_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A librdkafka that writes other bytes would read ours as something else."""
    monkeypatch.setattr(module, "group_metadata", lambda *_: b"CGMDv3:")
    with pytest.raises(ImproperlyConfigured, match="group metadata must be"):
        selftest()
