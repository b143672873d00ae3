"""Kafka Connect's REST API: putting connectors, asking how they are, starting again what failed.

Owns the conversation with a worker (https://kafka.apache.org/documentation/#connect_rest). Must never tell a
password: what Connect answers is told without the settings that it was given.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from jobstream.errors import JobstreamError

ASK_S = 15.0
"""How long a worker may take for one answer; it checks settings against the database meanwhile."""
PAUSE_S = 0.3
BUSY = (409, 500, 503, 504)
"""What a worker answers while the group finds together."""
NOT_FOUND = 404
REASON_CHARS_MAX = 400
FAILED = "FAILED"
RUNNING = "RUNNING"
STOPPED = "STOPPED"


class ConnectFailed(JobstreamError):
    """Kafka Connect does not answer, or refuses; a sentence with its address."""


@dataclass(frozen=True)
class State:
    """How a connector is: a state in Connect's words, of itself and of each task, and why one failed."""

    name: str
    connector: str
    tasks: tuple[str, ...]
    why: str

    @property
    def runs(self) -> bool:
        """Whether it and all its tasks run, and there is one at least."""
        return {self.connector, *self.tasks} == {RUNNING} and bool(self.tasks)

    @property
    def failed(self) -> bool:
        """Whether it or one of its tasks has ended with an error, and waits to be started again."""
        return FAILED in (self.connector, *self.tasks)


class Worker:
    """A Connect worker, or a whole cluster of them behind one address."""

    def __init__(self, address: str) -> None:
        self.url = address if "://" in address else f"http://{address}"

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            self._ask("GET", "/connectors")
        except ConnectFailed:
            return False
        return True

    def names(self) -> list[str]:
        """The connectors that it has."""
        return sorted(self._ask("GET", "/connectors"))

    def put(self, name: str, config: Mapping[str, str], *, patience_s: float = 60.0) -> None:
        """Makes a connector, or changes its settings. Settings that it has already change nothing.

        Raises:
            ConnectFailed: It does not answer in time, or refuses them; with its reason.
        """
        path = f"/connectors/{quote(name)}/config"
        # A worker that rebalances refuses to answer even this.
        found = self._ask("GET", path, missing={}, patience_s=patience_s)
        if found != {"name": name, **config}:
            self._ask("PUT", path, dict(config), patience_s=patience_s)

    def state(self, name: str) -> State | None:
        """How a connector is; None if there is none of that name."""
        found = self._ask("GET", f"/connectors/{quote(name)}/status", missing=None)
        if found is None:
            return None
        parts = [found["connector"], *found["tasks"]]
        why = next((cause(part["trace"]) for part in parts if part.get("trace")), "")
        tasks = tuple(task["state"] for task in found["tasks"])
        return State(name, found["connector"]["state"], tasks, why)

    def restart_failed(self, name: str) -> None:
        """Starts what failed of a connector again."""
        self._ask("POST", f"/connectors/{quote(name)}/restart?includeTasks=true&onlyFailed=true", {})

    def forget_offsets(self, name: str, *, patience_s: float = 60.0) -> None:
        """Has a sink read its topics again from their beginning (KIP-875)."""
        self._ask("PUT", f"/connectors/{quote(name)}/stop", {})
        try:
            self._ask("DELETE", f"/connectors/{quote(name)}/offsets", patience_s=patience_s)
        finally:
            self.resume(name, patience_s=patience_s)

    def stop(self, name: str, *, patience_s: float) -> None:
        """Ends a connector's tasks, and returns when they have ended; what it has written stays (KIP-875).

        Raises:
            ConnectFailed: They have not in time.
        """
        self._ask("PUT", f"/connectors/{quote(name)}/stop", {})
        ends_s = time.monotonic() + patience_s
        while (state := self.state(name)) is None or state.connector != STOPPED or state.tasks:
            if time.monotonic() > ends_s:
                raise ConnectFailed(f"the connector {name} did not stop within {patience_s:g} s")
            time.sleep(PAUSE_S)

    def resume(self, name: str, *, patience_s: float = 0) -> None:
        """Has a connector that was stopped go on."""
        self._ask("PUT", f"/connectors/{quote(name)}/resume", {}, patience_s=patience_s)

    def go_on_at(self, name: str, offsets: Mapping[tuple[str, int], int], *, patience_s: float) -> None:
        """Has a sink that is stopped go on at these offsets, by topic and partition (KIP-875)."""
        told = [
            {
                "partition": {"kafka_topic": topic, "kafka_partition": partition},
                "offset": {"kafka_offset": offset},
            }
            for (topic, partition), offset in offsets.items()
        ]
        self._ask("PATCH", f"/connectors/{quote(name)}/offsets", {"offsets": told}, patience_s=patience_s)

    def _ask(
        self, method: str, path: str, body: Any = ..., *, missing: Any = ..., patience_s: float = 0
    ) -> Any:
        ends_s = time.monotonic() + patience_s
        data = None if body is ... else json.dumps(body).encode()
        while True:
            request = urllib.request.Request(  # noqa: S310  # http or https
                self.url + path, data, {"Content-Type": "application/json"}, method=method
            )
            try:
                with _opener().open(request, timeout=ASK_S) as answer:
                    said = answer.read()
                    return json.loads(said) if said else None
            except urllib.error.HTTPError as refused:
                with refused:
                    why, status = _message(refused.read()), refused.code
                if status == NOT_FOUND and missing is not ...:
                    return missing
                if status not in BUSY or time.monotonic() > ends_s:
                    raise ConnectFailed(f"Kafka Connect at {self.url} refuses ({status}): {why}") from None
            except (OSError, HTTPException, ValueError) as error:
                if time.monotonic() > ends_s:
                    why = str(getattr(error, "reason", None) or error)
                    raise ConnectFailed(f"Kafka Connect at {self.url} does not answer: {why}") from None
            time.sleep(PAUSE_S)


def cause(trace: str) -> str:
    """The root cause in a Java stack trace, without the class names before it."""
    lines = [line for line in trace.splitlines() if line and not line.startswith(("\t", " "))]
    root = next(
        (line for line in reversed(lines) if line.startswith("Caused by: ")), lines[0] if lines else ""
    )
    return root.removeprefix("Caused by: ")[:REASON_CHARS_MAX]


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _message(said: bytes) -> str:
    """What Connect says, which repeats the settings in no case that we know of."""
    try:
        return str(json.loads(said)["message"])[:REASON_CHARS_MAX]
    except (ValueError, KeyError, TypeError):
        return said.decode(errors="replace")[:REASON_CHARS_MAX]
