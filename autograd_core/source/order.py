"""The order in which parts of an expression are worked out, where functions are called whose source is transformed too.

Each of these calls becomes a statement of its own, before the one it stands in; what is to be worked out before the call,
and might read what the call changes, then also becomes one.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

from .read import Fresh, Function, is_ours, missing, names_set, walk


class Order(Fresh):
    """Expressions as statements that are run before, and what is left of them."""

    function: Function
    local: set[str]
    simple: Callable[[ast.stmt], list[ast.stmt]]

    def is_call(self, node: ast.AST) -> bool:
        """Whether a node is a call of such a function."""
        if not isinstance(node, ast.Call):
            return False
        found = self.function.resolve(node.func, self.local)
        return found is not missing and is_ours(found)

    def calls(self, e: ast.AST) -> bool:
        """Whether such a function is called in an expression."""
        return any(self.is_call(n) for n in ast.walk(e))

    def may_write(self, e: ast.AST) -> bool:
        """Whether a function that is called in an expression may change arrays."""
        return any(writes(self.function.resolve(n.func, self.local), set()) for n in ast.walk(e) if self.is_call(n))  # type: ignore[attr-defined]

    def hoisted(self, e: Any, keep: bool = False) -> tuple[list, Any]:
        """Statements to be run before an expression, and what is left of it; `keep` leaves a call that is all of it."""
        if not self.calls(e):
            return [], e
        if isinstance(e, ast.IfExp):
            return self.chosen(e)
        if isinstance(e, ast.Subscript) and self.is_call(e.value) and (count := self.results_of(e.value)) > 1:
            return self.picked(e, count)
        if skips(e):
            self.function.refuse(e, "a call of your own function inside and/or; call it in a statement before")
        before: list = []
        places = list(parts(e))
        for k, place in enumerate(places):
            part = place.get()
            more, part = self.chosen(part) if self.is_call(e) and self.may_alias(part) else self.hoisted(part)
            before += more
            if any(self.may_write(later.get()) for later in places[k + 1 :]):
                more, part = self.held(part)
                before += more
            place.put(part)
        if keep or not self.is_call(e):
            return before, e
        name = self.fresh("value")
        return [*before, ast.copy_location(assign(name, e), e)], ast.copy_location(load(name), e)

    def results_of(self, call: Any) -> int:
        """How many values a call of such a function returns, by what is written in it."""
        returned = [
            n.value
            for n in walk(Function(self.function.resolve(call.func, self.local)).tree.body)
            if isinstance(n, ast.Return)
        ]
        return max((len(v.elts) if isinstance(v, ast.Tuple) else 1 for v in returned), default=0)

    def picked(self, e: ast.Subscript, count: int) -> tuple[list, ast.expr]:
        """One of several results of a call, each of which gets a name."""
        try:
            k = range(count)[ast.literal_eval(e.slice)]
        except (ValueError, TypeError, IndexError):
            return self.function.refuse(
                e, f"{ast.unparse(e.value)} returns {count} values; give each a name: a, b = ..."
            )
        names = [self.fresh("value") for _ in range(count)]
        target = ast.Tuple([ast.Name(n, ast.Store()) for n in names], ast.Store())
        return self.simple(ast.copy_location(ast.Assign([target], e.value), e)), ast.copy_location(load(names[k]), e)

    def held(self, e: Any) -> tuple[list, Any]:
        """An expression that is worked out now, before arrays change that it reads."""
        if isinstance(e, (ast.Name, ast.Constant)) or self.function.resolve(e, self.local) is not missing:
            return [], e
        if isinstance(e, (ast.Slice, ast.Tuple, ast.List)):
            before: list = []
            for place in parts(e):
                more, part = self.held(place.get())
                before += more
                place.put(part)
            return before, e
        name = self.fresh("value")
        return self.simple(ast.copy_location(assign(name, e), e)), ast.copy_location(load(name), e)

    def tested(self, test: ast.expr) -> tuple[list, ast.expr]:
        """The same of a condition; calls that may not be made, and change nothing, stay where they are."""
        if any(skips(n) and self.calls(n) for n in ast.walk(test)) and not self.may_write(test):
            return [], test
        return self.hoisted(test)

    def chosen(self, e: ast.IfExp) -> tuple[list, ast.expr]:
        """A choice between calls, as an `if`: only one of them is made."""
        name = self.fresh("value")
        return self.as_branches(e, ast.Name(name, ast.Store())), ast.copy_location(load(name), e)

    def as_branches(self, e: ast.IfExp, target: ast.Name) -> list:
        """A choice that a name takes on, as an `if`."""
        branch = lambda v: [ast.copy_location(ast.Assign([copy.copy(target)], v), e)]
        choice = ast.If(e.test, branch(e.body), branch(e.orelse))
        return self.simple(ast.fix_missing_locations(ast.copy_location(choice, e)))

    def may_alias(self, e: ast.expr) -> bool:
        """Whether a value is a choice of what may be an array with another name, and not a new one."""
        if not isinstance(e, ast.IfExp):
            return False
        aliases = (ast.Name, ast.Subscript, ast.Attribute, ast.Call)
        return any(isinstance(v, aliases) or self.may_alias(v) for v in (e.body, e.orelse))


class Place:
    """Where a part of an expression stands."""

    def __init__(self, node: ast.AST, field: str, k: int | None = None):
        self.node, self.field, self.k = node, field, k

    def get(self) -> Any:
        """The part."""
        found = getattr(self.node, self.field)
        return found if self.k is None else found[self.k]

    def put(self, part: ast.expr) -> None:
        """Put another in its place."""
        if self.k is None:
            setattr(self.node, self.field, part)
        else:
            getattr(self.node, self.field)[self.k] = part


def parts(e: ast.AST) -> Iterator[Place]:
    """The parts of an expression whose values it is made of, in the order in which they are worked out."""
    for field, value in ast.iter_fields(e):
        if isinstance(e, ast.Call) and field == "func":
            yield from [Place(value, "value")] if isinstance(value, ast.Attribute) else []
        elif isinstance(value, ast.expr):
            yield Place(e, field)
        elif isinstance(value, list):
            for k, v in enumerate(value):
                if isinstance(v, (ast.expr, ast.keyword)):
                    yield Place(v, "value") if isinstance(v, ast.keyword) else Place(e, field, k)


def skips(e: ast.AST) -> bool:
    """Whether parts of an expression may not be worked out."""
    return isinstance(e, ast.BoolOp) or isinstance(e, ast.Compare) and len(e.ops) > 1


def writes(f: Any, seen: set) -> bool:
    """Whether a function may change arrays that it is given: it, or what it calls, assigns to parts or in place."""
    function = Function(f)
    if function.f in seen:
        return False
    seen.add(function.f)
    local = names_set(function.tree.body) | set(function.parameters)
    for node in walk(function.tree.body):
        if isinstance(node, ast.AugAssign) or isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.Call) and (g := function.resolve(node.func, local)) is not missing and is_ours(g):
            if writes(g, seen):
                return True
    return False


def assign(name: str | None, value: ast.expr) -> ast.Assign:
    """name = value."""
    return ast.fix_missing_locations(
        ast.Assign([ast.Name(name, ast.Store())], value, lineno=getattr(value, "lineno", 1))
    )


def load(name: str | None) -> ast.Name:
    """The name, to be read."""
    return ast.Name(name, ast.Load())
