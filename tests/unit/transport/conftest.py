"""What the transport's unit tests share: a process end that can be looked at."""

import os

import pytest


class Died(BaseException):
    """Stands for the end of the process."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> type[Died]:
    """Makes `die` raise what the process would have ended with."""
    said: list[str] = []

    def end(code: int) -> None:
        raise Died(code, said[-1])

    def say(_: int, line: bytes) -> int:
        said.append(line.decode())
        return len(line)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(os, "write", say)
    return Died
