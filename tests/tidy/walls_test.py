"""Who may import whom. The walls keep each room understandable, testable and startable alone."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.tidy.source import ROOMS, ROOT, dotted, imports, modules, name, packages, within

KAFKA = ("aiokafka", "confluent_kafka", "kafka")

# Room: what it must never import, wherever in the file.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    # The language everyone speaks: it knows no speaker.
    "schemas": ("streams", "relay", "jobstream", "faust", "grpc", *KAFKA),
    # State and edge meet only in topics, so that either is replaced, restarted and scaled without the other.
    "streams": ("relay", "jobstream", "grpc"),
    "relay": ("streams", "jobstream", "faust"),
    # Faust is a host that will be exchanged in parts: one room knows it.
    "jobstream": ("faust", "mode"),
    # What users install beside their own code: gRPC, protobuf and the schemas, no Kafka and no service.
    "jobstream/minion": ("streams", "relay", "aiohttp", "typer", "rich", *KAFKA),
    # A broker is started without anything that runs on it.
    "jobstream/cluster/broker.py": ("streams", "relay"),
}

# Pure rooms decide from their arguments alone: no clock, no chance, no world. That makes replay equal to
# live.
IMPURE_MODULES = (
    *("asyncio", "threading", "multiprocessing", "concurrent", "subprocess", "socket", "io", "os", "pathlib"),
    *("time", "random", "secrets", "uuid", "logging", "warnings", "shutil"),
    *("faust", "mode", "grpc", *KAFKA),
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})  # of datetime and date


@pytest.mark.parametrize("room", FORBIDDEN)
def test_walls(room: str) -> None:
    """No room imports what its wall keeps out."""
    paths = [ROOT / room] if room.endswith(".py") else modules(room)
    breaches = [
        f"{name(path)}:{line} imports {module}"
        for path in paths
        for line, module in imports(path)
        if within(module, *FORBIDDEN[room])
    ]
    assert not breaches


def core_modules() -> list[Path]:
    """Every module of a pure room."""
    return [path for room in ROOMS for path in modules(room) if "core" in path.relative_to(ROOT).parts[1:-1]]


def test_core_imports_nothing_impure() -> None:
    """A core imports no clock, no chance, no files, no network, and nothing of the shell around it."""
    breaches = []
    for path in core_modules():
        room = path.relative_to(ROOT).parts[0]
        for line, module in imports(path):
            shell = within(module, room) and not within(module, f"{room}.core")
            if shell or within(module, *IMPURE_MODULES):
                breaches.append(f"{name(path)}:{line} imports {module}")
    assert not breaches


def test_core_calls_nothing_impure() -> None:
    """A core reads no clock through datetime either, and does no input or output."""
    breaches = [
        f"{name(path)}:{node.lineno} calls {ast.unparse(node.func)}"
        for path in core_modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS)
        )
    ]
    assert not breaches


def test_the_composition_root_is_lazy() -> None:
    """Importing any module of `jobstream` imports no service: a verb loads what it needs when it runs."""
    breaches = [
        f"{name(path)}:{line} imports {module} at import"
        for path in modules("jobstream")
        for line, module in imports(path, lazy=False)
        if within(module, "streams", "relay")
    ]
    assert not breaches


def test_no_import_circles() -> None:
    """No module imports, through others or not, one that imports it: each can be read after those it needs.

    A module that is imported runs its packages before, so it imports them too, those apart that it is in.
    """
    paths = {dotted(path): path for path in modules(*ROOMS, "tests", "examples")}
    graph = {
        module: {
            package
            for _, imported in imports(path, lazy=False)
            for package in packages(imported)
            if package in paths and not within(module, package)
        }
        for module, path in paths.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(reversed(error.args[1]))}")


# What is imported, and what must not be loaded by that, directly or through others.
LIGHT = {
    "jobstream": ("faust", "grpc", "aiohttp", "typer", "rich", *KAFKA),
    "jobstream.testing.jobs": ("faust", "mode", "aiokafka", "aiohttp", "typer", "rich"),
    "jobstream.pytest_plugin": ("faust", "grpc", "aiohttp", "typer", "rich", "streams", "relay", *KAFKA),
    "jobstream.cli": ("faust", "grpc", "streams", "relay", *KAFKA),
    "jobstream.minion": ("faust", "aiohttp", "streams", "relay", "typer", "rich", *KAFKA),
    "jobstream.cluster": ("faust", "grpc", "streams", "relay", "jgo", *KAFKA),
    "schemas.codec": ("faust", "grpc", "streams", "relay", "jobstream", *KAFKA),
    "streams.core": ("faust", "grpc", "asyncio", *KAFKA),
    "relay.core": ("faust", "grpc", "asyncio", *KAFKA),
}


@pytest.mark.parametrize("module", LIGHT)
def test_light_imports_stay_light(module: str) -> None:
    """What must start quickly, or run where little is installed, loads nothing heavy, not even through
    others.
    """
    path = ROOT / module.replace(".", "/")
    if not (path.with_suffix(".py").exists() or path.exists()):
        pytest.skip(f"{module} is not there yet")
    script = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert [loaded for loaded in done.stdout.split() if loaded in LIGHT[module]] == []
