"""The agent path alone, on stock Faust and on the project's transport in both modes, as figures; `transport`
measures.

Owns a broker for it, and the names of the figures.
"""

import asyncio
import json
import sys
import tempfile
from typing import Final

from jobstream.cluster import Broker
from streams.transport import Mode
from streams.transport.transport import MODE_DEFAULT
from tests.bench.figures import ROOT, Figure, Say, figure

STOCK: Final = "stock"
OURS: Final = MODE_DEFAULT.value
OTHER: Final = next(mode.value for mode in Mode if mode is not MODE_DEFAULT)
EVENTS: Final = 60_000
LATENCIES: Final = 1_000
"""Events at 100 a second; ten seconds for each host."""
FIELDS: Final = {
    "per_s": ("agent_events_per_s", "events/s"),
    "cpu_us": ("agent_cpu_us_per_event", "us"),
    "latency_ms_p50": ("agent_ms_p50", "ms"),
    "latency_ms_p99": ("agent_ms_p99", "ms"),
    "half_load_ms_p50": ("agent_half_load_ms_p50", "ms"),
    "half_load_ms_p99": ("agent_half_load_ms_p99", "ms"),
}
"""What `transport` measures of a host, and the name and unit of the figure."""
HOSTS: Final = ((OURS, ""), (OTHER, f"_{OTHER}"), (STOCK, "_stock"))
NAMES: Final = tuple(name + suffix for name, _ in FIELDS.values() for _, suffix in HOSTS)


async def measure(runs: int, say: Say, events: int = EVENTS) -> list[Figure]:
    """Events per second, CPU per event and latency of the hosts, in turns."""
    values: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="jobstream-bench-") as data,
        Broker.start(f"{data}/kafka", tell=lambda _: None) as broker,
    ):
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: {events} events on each host")
            for name, value in (await _run(broker.bootstrap, events)).items():
                values.setdefault(name, []).append(value)
    return [
        figure(name + suffix, unit, values[f"{host}_{field}"], events=events, host=host)
        for field, (name, unit) in FIELDS.items()
        for host, suffix in HOSTS
    ]


async def _run(bootstrap: str, events: int) -> dict[str, float]:
    """What `tests.bench.transport` says of one run, by its names."""
    command = ["-m", "tests.bench.transport", "--bootstrap", bootstrap, "--runs", "1"]
    command += ["--events", str(events), "--latency", str(LATENCIES), "--hosts", f"{STOCK},{OURS},{OTHER}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"tests.bench.transport must end with 0, got {process.returncode}"
    lines = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    return {line["name"]: line["median"] for line in lines}
