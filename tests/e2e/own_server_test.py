"""Calls over HTTP from processes as users start them: the gateway with calls alone, and the example of a
relay and calls in servers of one's own.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from jobstream.cluster import Child, free_port
from tests.waiting import eventually_async

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
UP_S = 60.0


@dataclass(frozen=True)
class Own:
    """Where one's own app and the gateway listen."""

    app: str
    gateway: str
    gateway_process: Child


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    """The example with its relay, a minion, and a gateway; no Kafka anywhere."""
    relay, http, gateway = free_port(), free_port(), free_port()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    commands = {
        "own": [str(ROOT / "examples/own_server.py"), str(relay), str(http)],
        "minion": ["-m", "jobstream", "minion", "tests.e2e.web_functions", "--relay", f"127.0.0.1:{relay}"],
        "gateway": ["-m", "jobstream", "gateway", "--calls-only"],
    }
    environ |= {"JOBSTREAM_RELAY": f"127.0.0.1:{relay}", "JOBSTREAM_HTTP": f"127.0.0.1:{gateway}"}
    environ["JOBSTREAM_ACCESS_LOG"] = str(tmp_path / "access.log")
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            log = tmp_path / f"{name}.log"
            child = Child.start([sys.executable, *command], log=log, cwd=tmp_path, env=environ)
            stack.callback(child.kill)
            processes[name] = child
        yield Own(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{gateway}", processes["gateway"])


def lines(path: Path) -> list[str]:
    """Of a file."""
    return path.read_text().splitlines()


async def answers(client: httpx.AsyncClient, url: str) -> int:
    """What a call at this place gives, as soon as all are up."""

    async def asked() -> int:
        try:
            response = await client.post(url, json={"a": 2, "b": 3}, timeout=UP_S)
        except httpx.TransportError as error:
            raise AssertionError(str(error)) from error
        assert response.status_code == 200, response.text
        found: int = response.json()
        return found

    return await eventually_async(asked, UP_S)


async def test_calls_through_servers_of_ones_own_and_through_the_gateway(own: Own, tmp_path: Path) -> None:
    """A call and a whole request through the app that mounts them, and through the gateway, which serves
    nothing else, leaves a line for each, and goes when it is told to.
    """
    async with httpx.AsyncClient() as client:
        assert await answers(client, f"{own.app}/jobs/call/shop.add") == 5
        response = await client.get(f"{own.app}/shop/cart?id=7", headers={"x-own": "mine"})
        assert (response.status_code, response.text) == (202, "GET /cart id=7 mine")
        assert await answers(client, f"{own.gateway}/call/shop.add") == 5
        response = await client.put(f"{own.gateway}/relay/shop.web/cart", headers={"x-own": "mine"})
        assert (response.status_code, response.text) == (202, "PUT /cart  mine")
        response = await client.get(f"{own.gateway}/jobs")
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
    assert own.gateway_process.stop(UP_S) == 0
    actions = [json.loads(line)["event.action"] for line in lines(tmp_path / "access.log")]
    assert {"POST /call/{function}", "PUT /relay/{function}/{path}"} <= set(actions)
