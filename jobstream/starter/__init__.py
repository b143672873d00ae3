"""The project that `jobstream init` writes: a function, its test, and code that asks for a job.

Owns the files and their writing. Must never overwrite anything.
"""

import re
from pathlib import Path

from jobstream.errors import BadRequest

FILES = Path(__file__).parent / "files"
SUFFIX = ".txt"
"""After the name of each file, so that no tool takes it for a part of Jobstream."""
DOTTED = {"gitignore": ".gitignore"}
NAME = re.compile(r"[^a-z0-9]+")


def write(folder: Path) -> list[Path]:
    """Writes the starter project into a folder, which is made if it is not there; the files.

    Raises:
        BadRequest: A file is there already, or the folder cannot be written; nothing was written then.
    """
    name = NAME.sub("-", folder.resolve().name.lower()).strip("-") or "jobs"
    texts = {_target(folder, path): path.read_text().replace("$name", name) for path in _sources()}
    taken = [path.name for path in texts if path.exists()]
    if taken:
        raise BadRequest(f"{folder} must not have files of these names yet, got {', '.join(taken)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text)
    except OSError as error:
        raise BadRequest(f"{folder} must be a folder that can be written, got: {error}") from None
    return list(texts)


def _sources() -> list[Path]:
    return sorted(FILES.glob(f"*{SUFFIX}"))


def _target(folder: Path, source: Path) -> Path:
    name = source.name.removesuffix(SUFFIX)
    return folder / DOTTED.get(name, name)
