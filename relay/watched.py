"""Files that are read again when they change: tokens, certificates.

Owns when they are read, and that what cannot be used replaces nothing: the last that could be stays in force,
and the log says so. Never logs what is in them.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from relay.core.tokens import BadTokens, Tokens, read_tokens

log = logging.getLogger("relay.files")

T = TypeVar("T")

Marks = tuple[tuple[int, int, int] | None, ...]


class BadFile(ValueError):
    """A file that cannot be used; the text is a sentence."""


class Watched(Generic[T]):
    """What some files say, all of them together."""

    def __init__(self, setting: str, paths: Sequence[str], read: Callable[[], T]) -> None:
        """Reads them; BadFile if they cannot be used. `setting` names them, for people."""
        self._setting = setting
        self._paths = tuple(paths)
        self._read = read
        self._marks = self._now()
        self.value = self._fresh()

    def look(self, *, again: bool = False) -> bool:
        """Reads them if they changed, or in any case; True if what they say now is in force. Costs a stat
        each.
        """
        marks = self._now()
        if not again and marks == self._marks:
            return False
        self._marks = marks
        try:
            self.value = self._fresh()
        except BadFile as bad:
            log.error("what was read before stays in force: %s", bad)  # noqa: TRY400  # the sentence says it all
            return False
        log.info("read again setting=%s", self._setting)
        return True

    def _fresh(self) -> T:
        try:
            return self._read()
        except (OSError, ValueError) as error:  # tokens, certificates and text that are none are ValueErrors
            paths = " and ".join(map(repr, self._paths))
            raise BadFile(f"{self._setting} must be usable, got {paths}: {error}") from None

    def _now(self) -> Marks:
        return tuple(_mark(path) for path in self._paths)


def watched_tokens(setting: str, path: str) -> Watched[Tokens]:
    """The tokens of a file; none if there is no path. BadFile with a sentence."""
    if not path:
        return Watched(setting, (), lambda: Tokens({}))
    return Watched(setting, (path,), lambda: _tokens(path))


def _tokens(path: str) -> Tokens:
    try:
        return read_tokens(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise BadTokens("the tokens must be TOML in UTF-8") from None


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # follows the links of mounted secrets
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
