"""Minions keep the protocol's rules, as the conformance program tries them: ours, and one that was written in
Go from the spec alone.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.check import RULES, check, main

HERE = Path(__file__).parent
PROTO = HERE.parents[1] / "schemas" / "proto"
PLUGIN = "google.golang.org/protobuf/cmd/protoc-gen-go@v1.34.2"
BUILD_S = 400
PYTHON = [
    *(sys.executable, "-m", "jobstream.minion", "tests.conformance.subject"),
    *("--concurrency", "4", "--grace", "0.3"),
]


@pytest.mark.slow
async def test_our_minion_keeps_every_rule() -> None:
    """The program holds it to the same spec as any other."""
    assert await check(PYTHON) == dict.fromkeys(RULES)


@pytest.mark.slow
async def test_a_minion_that_breaks_a_rule_is_found_out() -> None:
    """One that holds more than it may, for instance."""
    [(rule, wrong)] = (await check([*PYTHON[:-3], "5"], ["says_hello"])).items()
    assert (rule, wrong) == ("says_hello", "capacity must be 4, got 5\nassert 5 == 4") or "got 5" in str(
        wrong
    )


@pytest.mark.full
async def test_a_minion_in_go_keeps_every_rule(tmp_path: Path) -> None:
    """Another language, no code of ours: the spec and the proto file are enough."""
    assert await check([str(built(tmp_path))]) == dict.fromkeys(RULES)


def test_the_program_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each rule, and the exit code."""
    assert main(["--only", "says_hello", "--", *PYTHON]) == 0
    assert capsys.readouterr().out == "kept    says hello\n"


def built(folder: Path) -> Path:
    """The minion in Go; skips where there is no Go, but not in CI."""
    if shutil.which("go") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Go: .ci/run installs it")
        pytest.skip("there is no Go here")
    source, binary = folder / "source", folder / "minion"
    shutil.copytree(HERE / "minion_go", source)
    (source / "relaypb").mkdir()
    environ = {**os.environ, "GOBIN": str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    stubs = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--go_out={source / 'relaypb'}"]
    for command in (
        ["go", "install", PLUGIN],
        [
            *stubs,
            "--go_opt=paths=source_relative",
            "--go_opt=Mrelay.proto=conformance/relaypb",
            "relay.proto",
        ],
        ["go", "build", "-o", str(binary), "."],
    ):
        done = subprocess.run(
            command, cwd=source, env=environ, capture_output=True, text=True, timeout=BUILD_S, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2_000:]}"
    return binary
