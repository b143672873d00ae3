"""What a process counts, how many series that may be, and how it is read."""

import asyncio
import re
import socket
import threading
import time
import urllib.request
from contextlib import ExitStack

import pytest

from schemas.settings import BadSetting, Settings, resolve
from schemas.telemetry import catalogue, prometheus
from schemas.telemetry.catalogue import CATALOGUE, HISTOGRAMS_MAX, OTHER, SERIES_MAX, Kind
from schemas.telemetry.meter import Meter, Sample, Spread, value_of
from schemas.telemetry.process import Telemetry
from schemas.telemetry.prometheus import CONNECTIONS_MAX, READER_S

LABELS = frozenset(
    {
        *("service", "version", "signal", "metric", "fact", "queue", "function", "reason", "code", "phase"),
        *(
            "partition",
            "topic",
            "minion",
            "connector",
            "outcome",
            "method",
            "route",
            "status",
            "duty",
            "door",
        ),
    }
)
"""What a metric may be told apart by. A job, a key, an id or a session is never among them."""


def test_the_catalogue_keeps_to_prometheus_names() -> None:
    """Names are snake case with our prefix; counters end in _total, times are seconds; labels are of few
    values.
    """
    for name, metric in CATALOGUE.items():
        assert re.fullmatch(r"jobstream_[a-z_]+", name)
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert ("_seconds" in name) == (metric.unit == "s")
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert metric.doc.endswith(".")
        assert set(metric.labels) <= LABELS


def test_series_are_bounded() -> None:
    """Whatever labels come, a metric has its limit of series and one for all the rest; what went there is
    counted.
    """
    meter = Meter()
    facts, times = meter.counter(catalogue.FACTS), meter.histogram(catalogue.RUN_TIME)
    for number in range(SERIES_MAX + 500):
        facts.add(("admitted", "default", f"f{number}"))
        times.observe(("default", f"f{number}"), 0.1)
    meter.watch(lambda: [(catalogue.JOBS, (f"q{n}", "ready"), 1) for n in range(SERIES_MAX * 2)])
    families = {family.metric.name: family for family in meter.read()}
    assert len(families[catalogue.FACTS.name].values) == SERIES_MAX + 1
    assert value_of(families.values(), catalogue.FACTS, (OTHER,) * 3) == 500
    assert len(families[catalogue.RUN_TIME.name].values) == HISTOGRAMS_MAX + 1
    assert len(families[catalogue.JOBS.name].values) == SERIES_MAX + 1
    assert value_of(families.values(), catalogue.JOBS, (OTHER,) * 2) == SERIES_MAX
    assert value_of(families.values(), catalogue.SERIES_DROPPED, (catalogue.JOBS.name,)) == SERIES_MAX
    assert value_of(families.values(), catalogue.SERIES_DROPPED, (catalogue.FACTS.name,)) == 500


def test_the_rest_of_what_is_looked_up_is_its_worst() -> None:
    """Beyond the limit counts add up; of times the greatest is told."""
    meter = Meter()
    meter.watch(lambda: [(catalogue.OLDEST_READY, (f"q{n}",), n) for n in range(SERIES_MAX + 10)])
    (oldest, _) = meter.read()
    assert oldest.values[OTHER,] == SERIES_MAX + 9


def test_a_histogram_is_cumulative_for_prometheus() -> None:
    """A value on a bound is within it; the last bucket counts all."""
    meter = Meter()
    for value in (0.001, 0.002, 10_000):
        meter.histogram(catalogue.CONTROL_LAG).observe((), value)
    text = prometheus.text(meter.read()).decode()
    assert 'jobstream_control_lag_seconds_bucket{le="0.001"} 1.0' in text
    assert 'jobstream_control_lag_seconds_bucket{le="0.0025"} 2.0' in text
    assert 'jobstream_control_lag_seconds_bucket{le="1800"} 2.0' in text
    assert 'jobstream_control_lag_seconds_bucket{le="+Inf"} 3.0' in text
    assert "jobstream_control_lag_seconds_sum 10000.003" in text
    (family,) = meter.read()
    assert isinstance(family.values[()], Spread)


async def test_what_belongs_to_a_loop_is_read_on_it() -> None:
    """A reader on another thread waits for the loop; the loop itself does not."""
    meter, seen = Meter(), []

    def look() -> list[Sample]:
        seen.append(threading.get_ident())
        return [(catalogue.ROWS, (), 7)]

    meter.watch(look, asyncio.get_running_loop())
    assert value_of(meter.read(), catalogue.ROWS) == 7
    assert value_of(await asyncio.to_thread(meter.read), catalogue.ROWS) == 7
    assert seen == [threading.get_ident()] * 2


def test_a_loop_that_is_gone_costs_its_look() -> None:
    """What cannot be asked any more is left out, and counted."""
    meter, loop = Meter(), asyncio.new_event_loop()
    meter.watch(lambda: [(catalogue.ROWS, (), 7)], loop)
    loop.close()
    assert value_of(meter.read(), catalogue.ROWS) == 0
    assert meter.late == 1


def test_two_processes_share_a_setting() -> None:
    """The second endpoint takes the next free port; both answer; another path is none."""
    settings = Settings(metrics="127.0.0.1:29464")
    first, second = Telemetry(settings, "relay"), Telemetry(settings, "minion")
    first.begin()
    second.begin()
    try:
        assert first.address != second.address
        for service, telemetry in (("relay", first), ("minion", second)):
            with urllib.request.urlopen(f"http://{telemetry.address}/metrics", timeout=10) as answer:
                assert f'jobstream_info{{service="{service}"'.encode() in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{first.address}/else", timeout=10)
    finally:
        first.end()
        second.end()


def test_a_bad_reader_costs_nobody_anything() -> None:
    """One that asks for nothing, one that says nonsense, one that never reads its answer: the next reader is
    answered, counting goes on, and of too many connections the last are closed.
    """
    telemetry = Telemetry(Settings(metrics="127.0.0.1:0"), "relay")
    facts = telemetry.meter.counter(catalogue.FACTS)
    for number in range(SERIES_MAX):
        facts.add(("admitted", "q" * 60, f"function-{number}"))
    telemetry.begin()
    assert telemetry.address is not None
    host, _, port = telemetry.address.rpartition(":")
    with ExitStack() as held:

        def connect() -> socket.socket:
            return held.enter_context(socket.create_connection((host, int(port)), timeout=30))

        held.callback(telemetry.end)
        silent, nonsense, deaf = connect(), connect(), connect()
        nonsense.sendall(b"\x00\xff\x13 what?\r\n\r\n")
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        with urllib.request.urlopen(f"http://{telemetry.address}/metrics", timeout=30) as answer:
            assert b"function-7" in answer.read()
        assert b"400" in nonsense.recv(1_000)
        assert silent.fileno() > 0
        began_s = time.monotonic()
        for _ in range(10_000):
            facts.add(("admitted", "q", "f"))
        assert time.monotonic() - began_s < 5
        many = [connect() for _ in range(CONNECTIONS_MAX)]
        many[-1].settimeout(READER_S / 2)  # within which the endpoint would wait for it
        assert many[-1].recv(1) == b""


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("measure", "f=all", "name=full"),
        ("measure", "no name=off", "name=full"),
        ("trace", "f=1/0", "name=every"),
        ("trace", "f=2/3", "name=every"),
        ("trace", "f", "name=every"),
        ("otlp", "host:4318", "http://host:port"),
        ("metrics", "9464", "host:port"),
        ("log", "xml", "text or json"),
    ],
)
def test_settings_that_cannot_be(name: str, text: str, sentence: str) -> None:
    """Each is refused with what it must be and what was found."""
    with pytest.raises(BadSetting, match=sentence):
        resolve({name: text}, {}, None)
