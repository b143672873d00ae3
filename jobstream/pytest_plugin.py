"""The pytest plugin: jobs in memory, a real broker and a whole cluster as fixtures of users' own tests.

Loaded by every run of pytest where Jobstream is installed, so it imports nothing of Jobstream until a fixture
is asked for. It must never leave a process behind.
"""

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobstream.cluster.up import Cluster
    from jobstream.testing import Jobs

MARK = "jobstream(mode, start, resources, propagate): how `jobstream_jobs` runs jobs in this test"


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def jobstream_jobs(request: pytest.FixtureRequest) -> "Iterator[Jobs]":
    """Jobs in memory, with a clock to move; `@pytest.mark.jobstream(mode="inline")` says how they run."""
    from jobstream.testing import Jobs

    marker = request.node.get_closest_marker("jobstream")
    jobs = Jobs(*(marker.args if marker else ()), **(marker.kwargs if marker else {}))
    jobs.install()
    yield jobs
    jobs.uninstall()


@pytest.fixture(scope="session")
def jobstream_bootstrap(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a real Kafka, host:port: JOBSTREAM_BOOTSTRAP if that is set, else one started for this
    run.
    """
    if given := os.environ.get("JOBSTREAM_BOOTSTRAP"):
        yield given
        return
    from jobstream.cluster import Broker, ClusterError

    data = tmp_path_factory.mktemp("jobstream-kafka")
    try:
        broker = Broker.start(data, tell=_tell(request))
    except ClusterError as refused:
        pytest.fail(f"no broker: JOBSTREAM_BOOTSTRAP is not set; embedded: {refused}", pytrace=False)
    with broker:
        yield broker.bootstrap
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def jobstream_cluster(
    request: pytest.FixtureRequest, jobstream_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Cluster]":
    """Streams and a relay on that Kafka, on free ports, with topics of their own, once for the run."""
    from jobstream.cluster.up import Cluster

    with Cluster.start(
        data=tmp_path_factory.mktemp("jobstream-cluster"),
        bootstrap=jobstream_bootstrap,
        prefix=f"t{uuid.uuid4().hex[:6]}.",
        free_ports=True,
        say=_tell(request),
    ) as cluster:
        yield cluster


def _tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Progress sentences reach the terminal although pytest captures what tests print."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(sentence: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"{sentence}\n")

    return tell
