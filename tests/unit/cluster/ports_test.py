"""Ports for parts of a cluster: free ones, each its own."""

import pytest

from jobstream.cluster import PortTaken, ports
from jobstream.cluster.ports import free_port


def test_a_port_that_somebody_is_about_to_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that starts again on its port is not there yet, and its controller needs another one."""
    only = free_port()
    monkeypatch.setattr(ports, "_FREE_PORT_RANGE", [only])
    monkeypatch.setattr(ports, "_FREE_PORT_TRIES", 1)
    assert free_port() == only
    with pytest.raises(PortTaken):
        free_port(other=only)
