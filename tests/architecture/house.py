"""What the packages are made of, read from their source: folders, files, functions, classes, and code without a use."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vulture import Vulture  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "db", "xray_core")
# A migration is history: written once, never edited, never split.
HISTORY = "db/migrations/versions/"
# What these decorate is called by Prefect, Typer or Pydantic.
_CALLED_BY_OTHERS = ["@flow", "@*.command", "@*.callback", "@field_validator", "@model_validator"]


@dataclass(frozen=True, slots=True)
class Module:
    """One source file; `name` is its path from the root."""

    name: str
    lines: int
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Function:
    """One function or method; `lines` counts its body with its docstring, for a signature is as long as its words."""

    name: str
    lines: int
    parameters: int
    is_command: bool


@cache
def read_modules() -> tuple[Module, ...]:
    """Every module of the three packages but the migrations."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    names = {path: path.relative_to(ROOT).as_posix() for path in paths}
    texts = {name: path.read_text(encoding="utf-8") for path, name in names.items() if not name.startswith(HISTORY)}
    return tuple(Module(name, len(text.splitlines()), ast.parse(text)) for name, text in texts.items())


def count_files() -> Counter[str]:
    """How many modules each folder has, `__init__` not counted."""
    return Counter(str(Path(each.name).parent) for each in read_modules() if not each.name.endswith("__init__.py"))


@cache
def read_functions() -> tuple[Function, ...]:
    """Every function and method, each named `path:function`."""
    return tuple(_measure(each.name, node) for each in read_modules() for node in _walk_functions(each.tree))


def _walk_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _measure(module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    parameters = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in ("self", "cls")]
    decorators = [ast.unparse(each) for each in node.decorator_list]
    return Function(
        name=f"{module}:{node.name}",
        lines=(node.end_lineno or 0) - node.body[0].lineno + 1,
        parameters=len(parameters),
        is_command=any(".command(" in each or ".callback(" in each for each in decorators),
    )


def find_twice_named_classes() -> dict[str, list[str]]:
    """Public class names that stand in more than one module, with those modules."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for module in read_modules():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(module.name)
    return {name: modules for name, modules in where.items() if len(modules) > 1}


def find_broad_excepts(*packages: str) -> list[str]:
    """Where these packages catch everything, as `path:line`."""
    return [
        f"{module.name}:{node.lineno}"
        for module in read_modules()
        if module.name.startswith(tuple(f"{package}/" for package in packages))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node)
    ]


def _is_broad(handler: ast.ExceptHandler) -> bool:
    names = [] if handler.type is None else [each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)]
    return handler.type is None or bool({"Exception", "BaseException"} & set(names))


def find_wordy_inits() -> list[str]:
    """The `__init__` files that hold anything but one docstring of one line."""
    inits = [each for each in read_modules() if each.name.endswith("__init__.py")]
    return [each.name for each in inits if each.lines != 1 or ast.get_docstring(each.tree) is None]


@cache
def find_unused() -> tuple[str, ...]:
    """What no package calls, whatever the tests do: `path:name`, by vulture.

    Fields and attributes are not asked for: a template, a JSON file or a library may read them by their name.
    """
    vulture = Vulture(ignore_decorators=_CALLED_BY_OTHERS)
    vulture.scavenge([str(ROOT / package) for package in PACKAGES])
    unused = [each for each in vulture.get_unused_code(60) if each.typ not in ("variable", "attribute")]
    names = (f"{Path(each.filename).relative_to(ROOT).as_posix()}:{each.name}" for each in unused)
    return tuple(sorted(name for name in names if not name.startswith(HISTORY)))
