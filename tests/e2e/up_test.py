"""`jobstream up` and the Cluster behind it: ready when it says so, healing, and gone when it is told to
go.
"""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobstream.client.pages import Pages
from jobstream.cluster import ClusterError, PortTaken, free_port
from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster, PartFailed
from tests.e2e.conftest import Start
from tests.waiting import eventually


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, str]:
    """The environment of a cluster of one's own."""
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("RELAY", "WEB", "HTTP")}
    own = {f"JOBSTREAM_{name}": address for name, address in addresses.items()}
    return {**os.environ, **own, "JOBSTREAM_DATA": str(tmp_path / "data"), "JOBSTREAM_PREFIX": "up."}


@pytest.fixture
def up(bootstrap: str, ports: dict[str, str], tmp_path: Path) -> Iterator[Child]:
    """`jobstream up` as a process, on the broker of the run."""
    command = [sys.executable, "-m", "jobstream", "up", "--bootstrap", bootstrap]
    child = Child.start(command, log=tmp_path / "up.log", env=ports)
    yield child
    child.kill()


def said(child: Child, words: str) -> bool:
    """Whether it has said so."""
    assert child.alive, child.log.read_text()
    return words in child.log.read_text()


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in listed.stdout.split()]


def runs(pid: int) -> bool:
    """Whether a process is there, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_up_says_when_each_part_is_ready_and_stops_at_ctrl_c(up: Child, ports: dict[str, str]) -> None:
    """Times for each part; then the pages and the relay answer; Ctrl-C ends all of it within seconds."""
    eventually(lambda: said(up, "Ctrl-C stops everything"), timeout_s=60)
    for part in ("topics", "streams", "relay", "gateway", "all"):
        assert re.search(rf"^{part} ready in \d+\.\d s", up.log.read_text(), re.MULTILINE)
    assert Pages(f"http://{ports['JOBSTREAM_WEB']}").counts()["queues"] == {}
    parts = children(up.pid)
    assert len(parts) == 3
    up.send(signal.SIGINT)
    assert up.wait(60)
    assert up.exit_code == 0
    assert not any(map(runs, parts))


def test_nothing_outlives_a_killed_up(up: Child) -> None:
    """Kill -9 of the supervisor ends its parts too."""
    eventually(lambda: said(up, "Ctrl-C stops everything"), timeout_s=60)
    parts = children(up.pid)
    up.kill()
    eventually(lambda: not any(map(runs, parts)), timeout_s=10)


def test_a_port_that_is_taken_is_told_before_anything_starts(cluster: Cluster, ports: dict[str, str]) -> None:
    """One sentence that says which part could not listen where, and exit code 1."""
    command = [
        sys.executable,
        "-m",
        "jobstream",
        "up",
        "--bootstrap",
        cluster.bootstrap,
        "--relay",
        cluster.relay,
    ]
    done = subprocess.run(command, env=ports, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    port = cluster.relay.partition(":")[2]
    assert done.stderr.startswith(f"jobstream: the relay cannot listen: port {port} on 127.0.0.1 is taken")
    assert done.stderr.count("\n") == 1
    with pytest.raises(PortTaken):
        Cluster.start(cluster.settings, bootstrap=cluster.bootstrap)


def test_a_part_that_ends_by_itself_is_told_and_started_again(bootstrap: str, tmp_path: Path) -> None:
    """At once the first time; what it said last is in the line."""
    lines: list[str] = []
    with Cluster.start(
        data=tmp_path, bootstrap=bootstrap, prefix="heals.", free_ports=True, say=lines.append
    ) as cluster:
        for name in ("relay", "streams"):
            before = cluster.pid(name)
            cluster.kill(name)
            _restarted(cluster, name, before)
            cluster.wait_until_ready(name)
            assert any(line.startswith(f"{name} ended by itself (signal 9") for line in lines)
        pids = [cluster.pid(name) for name in cluster.names]
    assert not any(map(runs, pids))


def _restarted(cluster: Cluster, name: str, before: int) -> None:
    eventually(lambda: cluster.pid(name) != before, timeout_s=60)


def test_a_part_that_cannot_start_is_told_with_its_last_words(bootstrap: str, tmp_path: Path) -> None:
    """Topics with another number of partitions than the settings: the worker's own sentence, and nothing is
    left.
    """
    with Cluster.start(data=tmp_path, bootstrap=bootstrap, prefix="odd.", partitions=2, free_ports=True):
        pass
    began = time.monotonic()
    with pytest.raises((PartFailed, ClusterError), match=r"ended before it was ready: .*partitions"):
        Cluster.start(data=tmp_path, bootstrap=bootstrap, prefix="odd.", partitions=3, free_ports=True)
    assert time.monotonic() - began < 30


def jobstream(cluster: Cluster, *args: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command line against a cluster."""
    env = {
        **os.environ,
        "JOBSTREAM_BOOTSTRAP": cluster.bootstrap,
        "JOBSTREAM_PREFIX": cluster.prefix,
        "JOBSTREAM_WEB": cluster.web,
    }
    command = [sys.executable, "-m", "jobstream", *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_a_job_from_the_command_line(cluster: Cluster, start: Start) -> None:
    """A submit with --wait prints the result; its status, the list and the counts tell of the same job."""
    start()
    done = jobstream(
        cluster, "submit", "e2e.echo", '{"value": 7}', "--key", "cli", "--wait", "--within", "30s"
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, 7), done.stderr
    id = jobstream(cluster, "submit", "e2e.echo", '{"value": 8}').stdout.strip()

    def status() -> dict[str, object]:
        found = jobstream(cluster, "status", id, "--json")
        assert found.returncode == 0, found.stderr
        return dict(json.loads(found.stdout))

    eventually(lambda: status()["phase"] == "succeeded", timeout_s=20)
    assert id in jobstream(cluster, "status", id).stdout
    assert id in jobstream(cluster, "list", "default").stdout
    assert "succeeded" in jobstream(cluster, "list").stdout


def test_a_job_is_cancelled_and_run_again_from_the_command_line(cluster: Cluster, start: Start) -> None:
    """Cancelled before its time by id alone; a second cancel is refused with exit code 1; retry runs it."""
    id = jobstream(
        cluster, "submit", "e2e.echo", '{"value": 9}', "--delay", "1h", "--key", "k"
    ).stdout.strip()
    eventually(lambda: jobstream(cluster, "status", id).returncode == 0, timeout_s=20)
    cancelled = jobstream(cluster, "cancel", id, "--reason", "too late")
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{id}: cancelled\n"), cancelled.stderr
    again = jobstream(cluster, "cancel", id)
    assert again.returncode == 1
    assert "only a job that has not ended can be cancelled" in again.stderr
    start()
    assert jobstream(cluster, "retry", id).returncode == 0
    unknown = jobstream(cluster, "cancel", "nobody-knows-it")
    assert (unknown.returncode, unknown.stdout) == (1, "")


def test_dead_jobs_are_redriven_from_the_command_line(cluster: Cluster, start: Start) -> None:
    """Those that fit are shown, then run again; where none fits that is told, with exit code 1."""
    start()
    submitted = jobstream(cluster, "submit", "e2e.hopeless", "--key", "redriven", "--wait")
    id = json.loads(jobstream(cluster, "list", "default", "--phase", "dead", "--json").stdout)["jobs"][0][
        "id"
    ]
    assert id in submitted.stderr
    shown = jobstream(cluster, "redrive", id, "--error", "NonRetryable", "--dry-run", "--json")
    assert [row["done"] for row in json.loads(shown.stdout)] == ["dead"], shown.stderr
    done = jobstream(cluster, "redrive", id, "--function", "e2e.hopeless", "--json")
    assert [(row["id"], row["done"]) for row in json.loads(done.stdout)] == [(id, "runs again")], done.stderr
    assert jobstream(cluster, "redrive").returncode == 2
    nothing = jobstream(cluster, "redrive", "nobody-knows-it")
    assert nothing.returncode == 1
    assert "no dead letter fits" in nothing.stderr


def test_a_queue_is_paused_and_resumed_from_the_command_line(cluster: Cluster, start: Start) -> None:
    """Jobs of a paused queue wait and say so; settings are shown with where they come from."""
    set_ = jobstream(cluster, "config", "set", "queue/quiet", "attempts=7", "timeout=30s", "--note", "slow")
    assert (set_.returncode, set_.stdout.split()[0]) == (0, "queue/quiet"), set_.stderr
    shown = json.loads(jobstream(cluster, "config", "get", "queue/quiet", "--json").stdout)
    assert shown["in_force"]["attempts_max"] == {"value": 7, "from": "queue/quiet"}
    assert shown["in_force"]["lost_max"]["from"] == "built-in"
    assert "paused" in jobstream(cluster, "pause", "quiet", "--note", "moving").stdout
    start("--queue", "quiet")

    def waits() -> str | None:
        id = jobstream(cluster, "submit", "e2e.echo", '{"value": 1}', "--queue", "quiet").stdout.strip()
        status = json.loads(jobstream(cluster, "status", id, "--json").stdout or "{}")
        in_force = status.get("policy", {}).get("attempts_max") == 7
        held = status.get("waiting_for") == "queue quiet is paused (moving)"
        return id if held and in_force else None

    id = eventually(waits, timeout_s=60) or ""
    assert jobstream(cluster, "resume", "quiet").returncode == 0
    eventually(lambda: "succeeded" in jobstream(cluster, "status", id).stdout, timeout_s=60)


def test_a_job_that_fails_or_takes_too_long_has_its_exit_code(cluster: Cluster, start: Start) -> None:
    """Dead: 1, with its error; not ended in time: 4."""
    start()
    dead = jobstream(cluster, "submit", "e2e.hopeless", "--attempts", "1", "--wait", "--within", "30s")
    assert dead.returncode == 1
    assert "is dead after 1 attempt" in dead.stderr
    slow = jobstream(cluster, "submit", "e2e.nobody-has-it", "--wait", "--within", "500ms")
    assert slow.returncode == 4
    assert "had not ended after 0.5 s" in slow.stderr


def test_schedules_from_the_command_line(cluster: Cluster) -> None:
    """Created with its next fire, listed, removed; a bad cron expression is refused with the reason."""
    made = jobstream(cluster, "schedules", "create", "yearly", "0 0 1 1 *", "e2e.echo", '{"value": 1}')
    assert (made.returncode, "saved, next fire" in made.stdout) == (0, True), made.stderr
    assert "yearly" in eventually(lambda: jobstream(cluster, "schedules", "list").stdout)
    paused = jobstream(cluster, "schedules", "pause", "yearly", "--note", "moving house")
    assert paused.stdout == "yearly: paused, moving house\n", paused.stderr
    assert ": fired, yearly@" in jobstream(cluster, "schedules", "trigger", "yearly").stdout
    past = ("2025-12-01T00:00:00Z", "2026-02-01T00:00:00Z")
    assert (
        "yearly: backfilling, 1 fires" in jobstream(cluster, "schedules", "backfill", "yearly", *past).stdout
    )
    assert "moving house" in eventually(lambda: jobstream(cluster, "schedules", "show", "yearly").stdout)
    assert jobstream(cluster, "schedules", "resume", "yearly").stdout.startswith("yearly: resumed")
    assert jobstream(cluster, "schedules", "remove", "yearly").stdout == "yearly: removed\n"
    assert jobstream(cluster, "schedules", "remove", "yearly").returncode == 1
    assert "no schedule yearly is kept" in jobstream(cluster, "schedules", "show", "yearly").stderr
    bad = jobstream(cluster, "schedules", "create", "bad", "* * *", "e2e.echo", "--key", "somewhere-else")
    assert bad.returncode == 1
    assert "cron must be" in bad.stderr


def test_a_person_sees_the_steps_of_a_job(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    """On a terminal, --wait shows on standard error how the job gets on; standard output has the result
    alone.
    """
    start()
    command = [sys.executable, "-m", "jobstream", "submit", "e2e.echo", '{"value": 7}', "--wait"]
    env = {**os.environ, "JOBSTREAM_BOOTSTRAP": cluster.bootstrap, "JOBSTREAM_PREFIX": cluster.prefix}
    terminal, other_end = pty.openpty()
    with (tmp_path / "out").open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=other_end)
    os.close(other_end)
    shown = b"".join(_read_all(terminal)).decode()
    code = process.wait(60)
    assert (code, (tmp_path / "out").read_text()) == (0, "7\n"), shown
    assert "succeeded" in shown


def _read_all(terminal: int) -> Iterator[bytes]:
    """What is written to a terminal until nobody holds its other end."""
    with contextlib.suppress(OSError):  # EIO: that is how it ends on Linux
        while chunk := os.read(terminal, 4_096):
            yield chunk
    os.close(terminal)


@pytest.mark.slow
def test_kafka_itself_is_started_again(tmp_path: Path) -> None:
    """Kill -9 of the broker: it starts again on its data, the others reach it, and an earlier job is still
    known.
    """
    with Cluster.start(data=tmp_path, prefix="kafka.", free_ports=True, say=lambda _: None) as cluster:
        id = jobstream(cluster, "submit", "e2e.echo", '{"value": 9}', "--delay", "1h").stdout.strip()
        eventually(lambda: jobstream(cluster, "status", id).returncode == 0, timeout_s=20)
        before = cluster.pid("kafka")
        cluster.kill("kafka")
        _restarted(cluster, "kafka", before)
        for name in cluster.names:
            cluster.wait_until_ready(name)
        eventually(lambda: _cancelled(cluster, id), timeout_s=60)


def _cancelled(cluster: Cluster, id: str) -> bool:
    """Asks for it; what was asked before, and got no answer in time, may be done meanwhile."""
    asked = jobstream(cluster, "cancel", id)
    return asked.returncode == 0 or "in phase cancelled" in asked.stderr
