"""Requests that doors write: who asked is told, each by itself."""

import pytest

from relay import requests


def test_a_fault_in_what_follows_one_request_is_no_other_ones(caplog: pytest.LogCaptureFixture) -> None:
    """Words that come together reach all whom they are for."""
    heard: list[str | None] = []

    def fails(_: str | None) -> None:
        raise ValueError("it is broken")

    requests._tell([(heard.append, None), (fails, None), (heard.append, "no")])
    assert heard == [None, "no"]
    assert "it is broken" in caplog.text
