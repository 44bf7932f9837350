"""Digest of the code that a rule script runs, so that Snakemake reruns a rule when its code changes.

Snakemake watches a script but not what it imports. This follows the names that the script takes from the
package, function by function: editing one function changes the digest of those scripts alone that reach it.

1. The top-level statements of a module are keyed by the names they define.
2. A name reaches every name in its statement that the same module defines or imports from the package.
3. The digest covers the syntax trees of all statements reached. Statements that define no name (registrations, for
   instance) count as soon as anything of their module is reached.

What cannot change a result is left out, as hours of computing may hang on a comma: docstrings, comments, what a line says that
ends a job or goes to its log, what a column means, and the modules of `LEFT_OUT`.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = "steering_study"
ROOT = Path(__file__).parents[1]
SCHEMA = f"{PACKAGE}.store.schema"
COLUMNS = frozenset(
    {"boolean", "integer", "integers", "number", "numbers", "string", "strings"}
)  # its functions that make one
# How a job opens its log, says in one line what is wrong, and holds the folder: nothing of it enters what the job writes but the
# provenance, which names rule, params and inputs as they are.
LEFT_OUT = (f"{PACKAGE}.store.job", f"{PACKAGE}.store.presence")


@dataclass(frozen=True)
class Statement:
    """What of a top-level statement counts, and the names that it uses."""

    dump: str
    names: frozenset[str]


@dataclass(frozen=True)
class Module:
    """Top-level statements of a source file by the names they define; under the empty name those that define none."""

    name: str
    statements: dict[str, list[Statement]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # alias -> (module, name)


def code_digest(script: Path) -> str:
    """Hex sha256 of the code that a script and the package functions it reaches consist of."""
    main = _parse("__main__", script)
    reached: dict[tuple[str, str], str] = {}
    queue: list[tuple[Module, str]] = [(main, name) for name in [*main.statements, *main.imports, ""]]
    while queue:
        module, name = queue.pop()
        if (module.name, name) in reached:
            continue
        if name in module.imports:
            reached[module.name, name] = ""
            queue += _imported(*module.imports[name])
            continue
        statements = module.statements.get(name, [])
        reached[module.name, name] = "\n".join(statement.dump for statement in statements)
        queue.append((module, ""))
        queue += [
            (module, used)
            for statement in statements
            for used in statement.names
            if used in module.statements or used in module.imports
        ]
    text = "\n".join(f"{key}={reached[key]}" for key in sorted(reached) if reached[key])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _imported(module_name: str, name: str | None) -> list[tuple[Module, str]]:
    """What an import brings: one name of a module, or the whole of it."""
    as_module = _module(f"{module_name}.{name}") if name else None
    module = as_module or _module(module_name)
    if module is None or module.name in LEFT_OUT:
        return []
    if name is None or as_module is not None:
        return [(module, each) for each in [*module.statements, *module.imports, ""]]
    return [(module, name)]


def _module(name: str) -> Module | None:
    relative = Path(*name.split(".")[1:])
    for path in (ROOT / relative.with_suffix(".py"), ROOT / relative / "__init__.py"):
        if path.is_file():
            return _cached(name, path, path.stat().st_mtime_ns)
    return None


@cache
def _cached(name: str, path: Path, modified: int) -> Module:
    return _parse(name, path)


def _parse(name: str, path: Path) -> Module:
    module = Module(name)
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):  # imports inside functions count as well
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            module.imports.update({a.asname or a.name: (str(node.module), a.name) for a in node.names})
        elif isinstance(node, ast.Import):
            ours = [a for a in node.names if a.name.split(".")[0] == PACKAGE]
            module.imports.update({a.asname or PACKAGE: (a.name, None) for a in ours})
    columns = frozenset(
        alias for alias, (source, name) in module.imports.items() if source == SCHEMA and name in COLUMNS
    )
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_for_types(node) or _is_text(node):
            continue
        defined = _defined(node) or [""]
        counted = _WhatCounts(columns).visit(node)
        statement = Statement(ast.dump(counted), _names(counted))
        for each in defined:
            module.statements.setdefault(each, []).append(statement)
    return module


class _WhatCounts(ast.NodeTransformer):
    """Takes out of a syntax tree what only a reader sees.

    Args:
        columns: names by which the module calls the functions that make a column of its meaning.
    """

    def __init__(self, columns: frozenset[str]) -> None:
        self.columns = columns

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _without_docstring

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """That an error ends the job counts, and not what it says."""
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_log = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "logger"
        is_column = isinstance(node.func, ast.Name) and node.func.id in self.columns
        if is_log or is_column:
            node.args, node.keywords = [], []
        return self.generic_visit(node)


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _names(node: ast.AST) -> frozenset[str]:
    """Names that a statement uses; imports inside functions count by what they bring."""
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    for each in ast.walk(node):  # annotations that are strings
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.isidentifier():
            used.add(each.value)
    return frozenset(used)
