"""Measures Python source files: the work that the demo's jobs do, as plain functions of their input.

Owns what is measured and how measures add up. Must never know of jobs: the demo runs these functions through
Jobstream and once more directly, and compares.
"""

import ast
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

#: Folders of the standard library's tree that hold other people's packages.
FOREIGN = frozenset({"site-packages", "dist-packages", "__pycache__"})


@dataclass(frozen=True)
class Measure:
    """What one file, or many files together, consist of; every field is a count."""

    files: int = 0
    unparsable: int = 0
    size_bytes: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    nodes: int = 0
    depth_max: int = 0

    def __add__(self, other: "Measure") -> "Measure":
        """Return the measure of both together: counts add up, depths do not."""
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return Measure(**{**sums, "depth_max": max(self.depth_max, other.depth_max)})


def library() -> Path:
    """Return the folder of the standard library of the Python that runs this."""
    return Path(sysconfig.get_paths()["stdlib"])


def sources(root: Path) -> list[Path]:
    """Return every Python source file of the library at `root`, sorted, without installed packages."""
    return sorted(
        path for path in root.rglob("*.py") if not FOREIGN.intersection(path.relative_to(root).parts)
    )


def package(root: Path, path: Path) -> str:
    """Return the package that a file belongs to: its first folder, or its own name at the top."""
    inside = path.relative_to(root)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def measure(path: Path) -> Measure:
    """Measure one file. A file that is no Python (there are some, as test data) counts as unparsable."""
    content = path.read_bytes()
    size = Measure(files=1, size_bytes=len(content), lines=content.count(b"\n"))
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return size + Measure(unparsable=1)
    return size + measure_tree(tree)


def measure_tree(tree: ast.AST) -> Measure:
    """Count what a syntax tree is made of."""
    functions = classes = imports = nodes = depth_max = 0
    for node, depth in walk(tree):
        nodes += 1
        depth_max = max(depth_max, depth)
        functions += isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        classes += isinstance(node, ast.ClassDef)
        imports += isinstance(node, ast.Import | ast.ImportFrom)
    return Measure(functions=functions, classes=classes, imports=imports, nodes=nodes, depth_max=depth_max)


def walk(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield every node with its depth, without recursion: some trees are deeper than Python's stack."""
    pending = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        yield node, depth
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def total(measures: Iterable[Measure]) -> Measure:
    """Return the measure of all together."""
    return sum(measures, Measure())


def as_json(one: Measure) -> dict[str, int]:
    """Return the measure as a job's result carries it."""
    return asdict(one)
