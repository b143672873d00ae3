"""The project's own source, parsed: what the tidy tests look at."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "streams", "relay", "jobstream")
GENERATED = ("_pb2.py", "_pb2_grpc.py")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git knows or would add, or none outside a checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return tuple(path for line in sorted(set(done.stdout.splitlines())) if (path := ROOT / line).is_file())


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    """The Python files below some folders of the project, without generated ones."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(path for path in found if not path.name.endswith(GENERATED))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def name(path: Path) -> str:
    """The path as people write it, from the project's root."""
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The name that a file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def packages(module: str) -> Iterator[str]:
    """A dotted name, and those of all it is in."""
    yield module
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def imports(path: Path, *, lazy: bool = True) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that a file imports; without `lazy` only what importing it imports.

    What only a type checker sees (`if TYPE_CHECKING`) counts as lazy.
    """
    for node in ast.walk(tree(path)) if lazy else _at_import(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            assert node.level == 0, f"{name(path)}:{node.lineno} imports {base}: imports are absolute here"
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_import(child)


def within(module: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or inside one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
