"""The help of each verb, and what a verb loads."""

import subprocess
import sys

import pytest
import typer.main

from jobstream.cli.app import app

VERBS = {
    "submit",
    "call",
    "status",
    "list",
    "top",
    "cancel",
    "retry",
    "redrive",
    "reschedule",
    "search",
    "history",
    "facts",
    "queues",
    "duties",
    "receipt",
    "heartbeat",
    "health",
    "metrics",
    "cancel-many",
    "letters",
    "package",
    "pause",
    "resume",
    "schedules",
    "init",
    "up",
    "demo",
    "minion",
    "registry",
    "relay",
    "streams",
    "gateway",
    "gearman",
    "topics",
    "config",
    "connect",
    "doctor",
    "why",
    "completion",
    "version",
}
SERVICES = {"faust", "mode", "aiokafka", "grpc", "streams", "relay", "jobstream.minion", "jobstream.cluster"}


def commands(group: object, path: str = "jobstream") -> dict[str, object]:
    """Every command by what is typed."""
    found: dict[str, object] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            found |= commands(command, f"{path} {name}")
        else:
            found[f"{path} {name}"] = command
    return found


GROUP = typer.main.get_command(app)
COMMANDS = commands(GROUP)


def test_the_verbs_are_there() -> None:
    """No verb goes missing."""
    assert set(GROUP.commands) == VERBS  # type: ignore[attr-defined]


@pytest.mark.parametrize("typed", COMMANDS)
def test_every_help_shows_an_example(typed: str) -> None:
    """Each verb's help says what it does, and shows a line that can be copied."""
    text = COMMANDS[typed].help  # type: ignore[attr-defined]
    examples = text.partition("```")[2].rpartition("```")[0]
    assert typed in examples, text


def loaded_by(*args: str) -> set[str]:
    """The modules that a run of the command line loads."""
    script = (
        "import sys\nfrom jobstream.cli import main\n"
        f"sys.argv = ['jobstream', *{args!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.splitlines()[-1].split())


def test_submitting_loads_no_service() -> None:
    """A submit needs a Kafka client alone: no Faust, no gRPC, no cluster, no tables."""
    loaded = loaded_by("submit", "f", "{}", "--bootstrap", "127.0.0.1:9", "--web", "127.0.0.1:9")
    assert "confluent_kafka" in loaded
    assert (SERVICES | {"rich"}).isdisjoint(loaded)


def test_help_loads_nothing_of_kafka() -> None:
    """Reading the help costs no Kafka client either."""
    assert (SERVICES | {"confluent_kafka"}).isdisjoint(loaded_by("submit", "--help"))


def test_looking_loads_no_kafka_client() -> None:
    """Status and list speak HTTP alone."""
    for args in (["status", "x", "--web", "127.0.0.1:9"], ["list", "--web", "127.0.0.1:9"]):
        assert (SERVICES | {"confluent_kafka", "asyncio"}).isdisjoint(loaded_by(*args))
