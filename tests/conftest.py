"""What all tests share: the broker of the run, a topic prefix of one's own, and the order of the kinds.

Owns the session's broker: JOBSTREAM_BOOTSTRAP if it is set, else the embedded one, else a container (which
JOBSTREAM_TEST_BROKER=container asks for). Never leaves one behind.
"""

import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from os import environ
from pathlib import Path

import pytest
from hypothesis import settings

from jobstream.cluster import Broker, ClusterError
from tests.containers import NoContainer, engine, kafka_container

TESTS = Path(__file__).parent
KINDS = ("tidy", "unit", "properties", "simulation", "upgrade", "conformance", "kafka", "e2e", "bench")
ON_THE_BROKER = ("kafka", "e2e", "bench")

# A shared machine is slow at times, and a slow example is no wrong one.
settings.register_profile("default", deadline=None)
settings.register_profile("full", deadline=None, max_examples=1_000)
settings.load_profile("default")


# A shell starts what it puts into the background with Ctrl-C ignored, and so would be all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --keep-data and --pictures."""
    parser.addoption("--pictures", action="store_true", help="write the README's pictures of the dashboard")
    parser.addoption("--keep-data", action="store_true", help="keep the broker's data when a test failed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by their folder and runs the quick kinds first."""
    for item in items:
        kind = _kind(item)
        if kind in ON_THE_BROKER:
            item.add_marker("kafka")
        if kind == "e2e":
            item.add_marker("e2e")
        if kind == "bench":
            item.add_marker("full")
    items.sort(key=lambda item: KINDS.index(kind) if (kind := _kind(item)) in KINDS else len(KINDS))


def _kind(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a real broker, one for the whole run. Fails with the reasons when none can be had."""
    if given := environ.get("JOBSTREAM_BOOTSTRAP"):
        yield given
        return
    with ExitStack() as stack:
        data = Path(tempfile.mkdtemp(prefix="jobstream-test-"))
        stack.callback(_clear, data, request)
        try:
            address = _embedded(stack, data / "kafka", request)
        except ClusterError as refused:
            address = _in_container(stack, refused)
        yield address


def _embedded(stack: ExitStack, data: Path, request: pytest.FixtureRequest) -> str:
    if environ.get("JOBSTREAM_TEST_BROKER") == "container":
        raise ClusterError("a container was asked for")
    return stack.enter_context(Broker.start(data, tell=_tell(request))).bootstrap


def _in_container(stack: ExitStack, refused: ClusterError) -> str:
    try:
        return stack.enter_context(kafka_container())
    except NoContainer as error:
        sentence = f"no broker: JOBSTREAM_BOOTSTRAP is not set; embedded: {refused}; in a container: {error}"
        pytest.fail(sentence, pytrace=False)


def _tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Progress sentences reach the terminal although pytest captures what tests print."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(sentence: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"{sentence}\n")

    return tell


def _clear(data: Path, request: pytest.FixtureRequest) -> None:
    if request.session.testsfailed and request.config.getoption("--keep-data"):
        sys.stderr.write(f"the broker's data is kept in {data}\n")
    else:
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def prefix(bootstrap: str) -> Iterator[str]:
    """A topic prefix that no other test has, such as `t3f9ab2.`; topics with it are removed afterwards."""
    from confluent_kafka.admin import AdminClient

    own = f"t{uuid.uuid4().hex[:6]}."
    yield own
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [topic for topic in admin.list_topics(timeout=10).topics if topic.startswith(own)]
    if topics:
        for done in admin.delete_topics(topics).values():
            done.result(timeout=10)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[None]:
    """A Docker Engine with the images that tests need; skips, with the reason, where there can be none."""
    with ExitStack() as stack:
        try:
            stack.enter_context(engine())
        except NoContainer as error:
            pytest.skip(f"no Docker Engine: {error}")
        yield


@pytest.fixture(scope="session")
def gearman_tools() -> str:
    """The path of Debian's Gearman client; skips without it, fails on a build server."""
    path = shutil.which("gearman")
    if path is None:
        (pytest.fail if environ.get("CI") == "true" else pytest.skip)(
            "gearman is not installed (Debian package gearman-tools)"
        )
    return path


@pytest.fixture(scope="session")
def kcat() -> str:
    """The path of kcat, a client that knows nothing of us; skips without it, fails on a build server."""
    path = shutil.which("kcat")
    if path is None:
        (pytest.fail if environ.get("CI") == "true" else pytest.skip)(
            "kcat is not installed (Debian package kcat)"
        )
    return path
