"""What `jobstream package` makes, unpacked elsewhere: jobs succeed in hosts that other people wrote."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobstream.cluster import free_port
from jobstream.cluster.child import Child
from tests.fakes.lambda_service import lambda_service
from tests.waiting import eventually

MODULE = Path(__file__).with_name("packed.py")
PLAIN = """
import json, sys
sys.path.insert(0, '.')
import main
print(json.dumps([main.handler(json.loads(line)) for line in sys.stdin]))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unit, made in one place and unpacked in another."""
    made, there = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("there")
    shutil.copy(MODULE, made)
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "jobstream", "package", "packed", "-o", "dist"]
    out = subprocess.run(command, cwd=made, env=environ, check=True, capture_output=True, text=True).stdout
    with zipfile.ZipFile(made / out.strip()) as unit:
        unit.extractall(there)
    return there


def test_it_needs_nothing_that_is_installed(unpacked: Path) -> None:
    """A Python without any package runs it: results, errors, and what is no job."""
    events: list[dict[str, Any]] = [
        {"function": "packed.double", "args": {"value": 4}},
        {"body": json.dumps({"function": "packed.shout", "args": ["ah"]})},
        {"body": "eyJmdW5jdGlvbiI6ICJwYWNrZWQubG9jYXRlZCJ9", "isBase64Encoded": True},
        {"function": "packed.fails"},
        {"function": "packed.unknown"},
        {"body": "[]"},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    command = [sys.executable, "-I", "-S", "-c", PLAIN]
    run = subprocess.run(command, cwd=unpacked, input=lines, check=True, capture_output=True, text=True)
    answers = [(answer["statusCode"], json.loads(answer["body"])) for answer in json.loads(run.stdout)]
    assert answers[:2] == [(200, 8), (200, "AH")]
    assert answers[2] == (200, str(unpacked / "jobstream" / "__init__.py"))
    assert answers[3] == (500, {"error": {"type": "ValueError", "message": "as it should"}})
    assert answers[4][0] == 404
    assert "function must be one of packed.double" in answers[4][1]["error"]
    assert answers[5] == (400, {"error": "the body must be a job as a JSON object"})


@contextlib.contextmanager
def hosts(unpacked: Path, logs: Path) -> Iterator[dict[str, str]]:
    """The unit in three hosts: the URL of each."""
    environ = {**os.environ, "PYTHONPATH": str(unpacked)}
    ports = {"asgi": free_port(), "google": free_port()}
    asgi = [sys.executable, "-m", "hypercorn", "main:app", "--bind", f"127.0.0.1:{ports['asgi']}"]
    google = [sys.executable, "-m", "functions_framework", "--source", str(unpacked / "main.py")]
    google += ["--target", "handle", "--host", "127.0.0.1", "--port", str(ports["google"])]
    children = [
        Child.start(command, log=logs / f"{name}.log", env=environ)
        for name, command in (("asgi", asgi), ("google", google))
    ]
    try:
        with lambda_service("main.handler", environ, 60) as service:
            yield {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()} | {
                "lambda": service.url
            }
    finally:
        for child in children:
            child.stop(10)


@pytest.mark.full
def test_jobs_succeed_in_three_hosts(unpacked: Path, tmp_path: Path) -> None:
    """An ASGI server, Google's functions-framework and AWS Lambda's own runtime client: each is sent jobs as
    a gateway pushes them, and answers with what the function returned.
    """
    double = {"id": "j", "function": "packed.double", "args": {"value": 21}, "attempt": 1, "epoch": 1}
    fails = {**double, "function": "packed.fails", "args": None}
    with hosts(unpacked, tmp_path) as urls:
        for name in ("asgi", "google"):
            eventually(_answers(urls[name]), 60)
            good, bad = (httpx.post(urls[name], json=job, timeout=60) for job in (double, fails))
            assert (good.status_code, good.json()) == (200, 42), good.text
            assert (bad.status_code, bad.json()["error"]["type"]) == (500, "ValueError"), bad.text
        good, bad = (httpx.post(urls["lambda"], json=job, timeout=60) for job in (double, fails))
        assert (good.json()["statusCode"], good.json()["body"]) == (200, "42"), good.text
        assert bad.json()["statusCode"] == 500, bad.text


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.post(url, content=b"[]").status_code == 400
        return False

    return ask
