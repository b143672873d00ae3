"""The house rules that a machine can check."""

import ast
import re
import tomllib

import pytest

from jobstream.cluster import java
from tests.tidy.source import ROOMS, ROOT, imports, modules, name, tracked, tree, within

OWN = (*ROOMS, "tests", "examples")
TEXT_BYTES_MAX = 1_000_000

# A letter of each stands in brackets, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
ELSEWHERE = re.compile(
    r"(?<![\w./-])/(?:ro[o]t|wo[r]k|ho[m]e/\w+)/"  # a path of somebody's machine
    r"|py[p]i\.org|python[h]osted\.org|repo1?\.ma[v]en|registry\.np[m]js|proxy\.go[l]ang"
)


def test_every_module_says_what_it_owns() -> None:
    """Every module opens with a docstring."""
    assert [name(path) for path in modules(*OWN) if not ast.get_docstring(tree(path))] == []


def test_nothing_is_left_for_later() -> None:
    """No file announces unfinished work."""
    assert matches(UNFINISHED) == []


def test_no_other_machine_is_named() -> None:
    """No file names a path of a developer's machine or the host of a package registry."""
    assert matches(ELSEWHERE) == []


def matches(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in the project's own text files."""
    found = []
    for path in tracked():
        if path.stat().st_size <= TEXT_BYTES_MAX:
            for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1):
                if pattern.search(line):
                    found.append(f"{name(path)}:{number}: {line.strip()[:100]}")
    return found


def test_tests_mock_nothing() -> None:
    """Tests use the real thing, or a fake that keeps its contract; no mocks."""
    breaches = [
        f"{name(path)}:{line} imports {module}"
        for path in modules("tests")
        for line, module in imports(path)
        if within(module, "mock", "unittest.mock", "pytest_mock")
    ]
    assert not breaches


def test_kafka_is_reached_in_one_way() -> None:
    """Where brokers are comes with how they are talked to, from schemas.kafka: TLS and SASL are forgotten
    by nobody.

    Apart: what tells Faust's transport about them, a self-test that never connects, a broker that we
    start, and where Java's clients are told about them.
    """
    apart = (
        "schemas/kafka.py",
        "streams/transport/",
        "jobstream/cluster/readiness.py",
        "jobstream/connect/security.py",
    )
    found = [
        name(path)
        for path in modules(*ROOMS)
        if '"bootstrap.servers"' in path.read_text() and not name(path).startswith(apart)
    ]
    assert found == []


def test_tests_wait_for_conditions() -> None:
    """No test sleeps for a time; tests/waiting.py polls for conditions."""
    breaches = [
        f"{name(path)}:{node.lineno}"
        for path in modules("tests")
        if path.name != "waiting.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert not breaches


def test_every_test_is_found() -> None:
    """A file with tests has a name that pytest collects."""
    lost = [
        name(path)
        for path in modules("tests")
        if not path.name.endswith("_test.py")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert not lost


@pytest.mark.parametrize("table", ["dependencies = [", "dev = [", "ignore = ["])
def test_every_entry_has_a_reason(table: str) -> None:
    """Each dependency and each rule that is switched off says why it is there, on its line."""
    text = (ROOT / "pyproject.toml").read_text().split(f"\n{table}\n")[1].split("\n]")[0]
    assert [
        line.strip() for line in text.splitlines() if " # " not in line and not line.strip().startswith("#")
    ] == []


def test_java_is_named_once() -> None:
    """The extra `java` is the package that is installed on demand."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["java"] == [java.JDK_PACKAGE]


def test_every_verb_is_explained() -> None:
    """`make` alone tells about every verb."""
    text = (ROOT / "Makefile").read_text()
    verbs = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    assert verbs
    assert [verb for verb in verbs if not re.search(rf"^{verb}:.*## \w", text, re.MULTILINE)] == []
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert set(" ".join(phony).split()) == set(verbs)
