"""The verb `package`: functions and all that they need of us in one file, for hosts that run a handler.

Owns what is in the file. It must never run a function, nor hold what the user's own requirements name: the
host installs those.
"""

import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.errors import BadFunction

OURS = ("jobstream", "schemas")
"""Packages of ours that are put in; `schemas` checks names and tells the limits."""

THEIRS = ("python-ulid", "typing-extensions")
"""Distributions that those need: pure Python."""

LEFT_OUT = frozenset({"__pycache__", "cluster", "connect", "demo", "gateway", "starter", "testing", "cli"})
"""Parts of ours that no host needs."""

ENTRY = "main.py"
REQUIREMENTS = "requirements.txt"
SUFFIXES = frozenset({".py", ".json", ".toml", ".txt", ".yaml", ".yml", ".csv", ".html", ".sql"})
"""Files of the user's package that are put in."""

MAIN = '''"""One entry point for the functions of {modules}; made by `jobstream package`.

ASGI: `main:app`. functions-framework: target `handle`. AWS Lambda: handler `main.handler`.
"""

from jobstream.hosting import Host

host = Host({modules!r})
app = host.app


def handle(request):
    """For functions-framework, which takes nothing but a function."""
    return host.handle(request)


def handler(event, context=None):
    """For AWS Lambda."""
    return host.handler(event, context)
'''


def package(
    modules: Annotated[
        list[str], typer.Argument(help="Modules that declare functions, as `shop.mails`.", show_default=False)
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where it is put.")] = Path(
        "dist"
    ),
    name: Annotated[
        str | None, typer.Option(help="Of the file; the name of the first module if left out.")
    ] = None,
) -> int:
    """Make one file of functions, with one entry point, for hosts that run a handler for each request.

    The file has the modules with their packages, what they need of Jobstream, and `main.py`: an ASGI app
    (`main:app`), a target of functions-framework (`handle`) and a handler of AWS Lambda (`main.handler`).
    A gateway calls it with jobs (setting `http_push`). A `requirements.txt` beside the modules goes along.

    ```
    jobstream package shop.mails -o dist/
    ```
    """
    from jobstream.minion.modules import load

    load(modules)  # says in one sentence what is wrong with them
    output.mkdir(parents=True, exist_ok=True)
    file = output / f"{name or modules[0]}.zip"
    files = dict(_files(modules))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as unit:
        for place, content in sorted(files.items()):
            unit.writestr(place, content)
    show.talk(f"jobstream: {len(files)} files, {file.stat().st_size / 1024:.0f} KiB")
    print(file)
    return Exit.OK


def _files(modules: list[str]) -> Iterator[tuple[str, bytes]]:
    """What goes into the unit: its place, and its content."""
    yield ENTRY, MAIN.format(modules=modules).encode()
    for top in dict.fromkeys(module.partition(".")[0] for module in modules):
        yield from _package(top, SUFFIXES, frozenset({"__pycache__"}))
    for top in OURS:
        yield from _package(top, frozenset({".py"}), LEFT_OUT)
    for name in THEIRS:
        for path in importlib.metadata.files(name) or ():
            if (path.suffix == ".py" or path.name == "METADATA") and ".." not in path.parts:
                yield path.as_posix(), Path(str(path.locate())).read_bytes()
    if Path(REQUIREMENTS).is_file():
        yield REQUIREMENTS, Path(REQUIREMENTS).read_bytes()


def _package(top: str, suffixes: frozenset[str], left_out: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise BadFunction(f"module {top!r} must be a file or a package with __init__.py, got neither")
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        yield origin.name, origin.read_bytes()
        return
    root = origin.parent
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and path.suffix in suffixes and not left_out & {*inside.parts}:
            yield f"{top}/{inside.as_posix()}", path.read_bytes()
