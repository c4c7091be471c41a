"""A function's source as a tree, and what the names in it that are not its own stand for."""

from __future__ import annotations

import ast
import builtins
import contextlib
import copy
import functools
import inspect
import linecache
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

import numpy as np


@functools.lru_cache(maxsize=64)
def _module(text: str) -> ast.Module:
    return ast.parse(text)


def _extent(code: CodeType) -> tuple | None:
    """Where the source of a lambda's value starts and ends, by the places of its instructions; None if not recorded."""
    places = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    if not places:
        return None
    start = min((p[0], p[2]) for p in places)  # type: ignore[type-var]
    end = max((p[1], p[3]) for p in places)  # type: ignore[type-var]
    return start[0], end[0], start[1], end[1]


class SourceError(SyntaxError):
    """Source that cannot be turned into adjoint source; it names the line."""


class Conflict(Exception):
    """A name that is to stand for two kinds of value."""


class Function:
    """A Python function that has been read: its tree, its parameters, and a way to look up its other names."""

    def __init__(self, f: Callable):
        self.f = python_function(f)
        self.name = self.f.__name__
        self.file = self.f.__code__.co_filename
        self.tree = self._parsed()
        arguments = self.tree.args
        if arguments.vararg or arguments.kwarg:
            self.refuse(self.tree, "*args and **options: name the parameters")
        self.parameters = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        self.signature = inspect.signature(self.f, follow_wrapped=False)

    def _parsed(self) -> ast.FunctionDef:
        try:
            linecache.checkcache(self.file)
            lines = linecache.getlines(self.file, self.f.__globals__)
            found = [n for n in ast.walk(_module("".join(lines))) if self._stands_at(n)]
        except SyntaxError as error:
            raise self._not_found() from error
        if len(found) != 1:
            raise self._not_found()
        tree = copy.deepcopy(found[0])
        if isinstance(tree, ast.Lambda):
            body = [ast.copy_location(ast.Return(tree.body), tree.body)]
            tree = ast.copy_location(ast.FunctionDef("function", tree.args, body, [], None), tree)
            self.name = "function"
        if not isinstance(tree, ast.FunctionDef):
            self.refuse(tree, "an asynchronous function")
        return tree

    def _not_found(self) -> SourceError:
        return SourceError(
            f"source_grad: the source of {self.f.__name__} is not to be found in {self.file}; "
            "it must stand in a file or a notebook, as a def or a lambda, and be as it was when it was read"
        )

    def _stands_at(self, node: ast.AST) -> bool:
        """Whether a function's code was compiled from a node: of several lambdas on a line, columns tell."""
        code = self.f.__code__
        if isinstance(node, ast.Lambda):
            b = node.body
            whole = (b.lineno, b.end_lineno, b.col_offset, b.end_col_offset)
            return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno and _extent(code) in (None, whole)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return code.co_name == node.name and first == code.co_firstlineno
        return False

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        """Raise, with the line of the source."""
        line = getattr(node, "lineno", self.f.__code__.co_firstlineno)
        text = linecache.getline(self.file, line)
        column = len(text) - len(text.lstrip()) + 1
        raise SourceError(f"source_grad: {self.name}, line {line}: {what}", (self.file, line, column, text))

    @contextlib.contextmanager
    def at(self, node: ast.AST) -> Iterator[None]:
        """What fails while a statement is transformed is refused with its line, whatever it is."""
        try:
            yield
        except (SourceError, Conflict, RecursionError):
            raise
        except Exception as error:
            text = ast.unparse(node).splitlines()[0]
            self.refuse(node, f"{text:.100} is not supported ({type(error).__name__}: {error})")

    def lookup(self, name: str) -> Any:
        """What a name that is not local stands for now; `missing` if nothing."""
        code, cells = self.f.__code__, self.f.__closure__ or ()
        if name in code.co_freevars:
            try:
                return cells[code.co_freevars.index(name)].cell_contents
            except ValueError:
                return missing
        return self.f.__globals__.get(name, getattr(builtins, name, missing))

    def resolve(self, node: ast.AST, local: set[str]) -> Any:
        """What an expression of names and attributes of modules stands for; `missing` if it is of local things."""
        if isinstance(node, ast.Name):
            return missing if node.id in local else self.lookup(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value, local)
            return getattr(owner, node.attr, missing) if isinstance(owner, ModuleType) else missing
        return missing


missing = object()


class Fresh:
    """What makes up names."""

    taken: set[str]

    def fresh(self, stem: str) -> str:
        """A name that occurs nowhere else."""
        k = 1
        while (name := f"{stem}{k}") in self.taken:
            k += 1
        self.taken.add(name)
        return name


def python_function(f: Any) -> FunctionType:
    """The Python function behind a function, which may be one that Numba compiles."""
    f = getattr(f, "py_func", f)
    if not isinstance(f, FunctionType):
        what = f"{type(f).__name__} {f!r:.60}"
        raise TypeError(f"source_grad: expected a function written in Python, or one that Numba compiles, got {what}")
    return f


def is_ours(value: Any) -> bool:
    """Whether a value is a function whose source can be transformed in turn."""
    written = isinstance(getattr(value, "py_func", value), FunctionType) and not is_of_tensors(value)
    return written and not module_of(value).startswith("numpy")


def is_of_tensors(value: Any) -> bool:
    """Whether a value is a function of this library, which works on tensors."""
    return callable(value) and module_of(value).partition(".")[0] == __name__.partition(".")[0]


def module_of(value: Any) -> str:
    return getattr(value, "__module__", None) or ""


def is_data(value: Any) -> bool:
    """Whether a value is a number or an array."""
    return isinstance(value, (bool, int, float, np.ndarray, np.generic))


def names_in(node: ast.AST | list) -> set[str]:
    """All names that are read in it."""
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def names_set(node: ast.AST | list) -> set[str]:
    """All names that are assigned in it."""
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def walk(node: ast.AST | list) -> Iterator[ast.AST]:
    """All nodes of a tree, or of several."""
    for root in node if isinstance(node, list) else [node]:
        yield from ast.walk(root)


def index_text(index: ast.expr) -> str:
    """The text of an index, as it stands between brackets."""
    return ast.unparse(ast.Subscript(ast.Name("a", ast.Load()), index, ast.Load()))[2:-1]
