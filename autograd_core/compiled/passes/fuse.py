"""Calls that work entry by entry on arrays of one shape become one loop; what only they read needs no memory."""

from __future__ import annotations

import bisect
from math import prod
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ...kernels import elementwise as loops
from ...kernels import nest
from ...op import Op
from ..program import TEMPORARY, Array, Block, Call, Program
from .order import dependencies

STEPS = loops.STEPS | {
    "masked": "zero if {0} == zero or {1} == zero else {0} * {1}",
    "clone": "{0}",
    "affine": "affine({0}, {1}, {2}, {3})",
    "dropped": "{0} * {scale} if {1} else zero",
    "overwrite": "{1}",
    "scaled_gap": "{0} * {scale} * ({1} - {2})",
    "scaled_logit_gap": "{0} * {scale} * (sigmoid({1}) - {2})",
}
FUSED = Op(lambda *xs: xs, (), name="fused")
CHEAP = loops.TRUTHS | {"add", "sub", "mul", "neg", "masked", "where", "relu", "square", "clone", "abs", "affine"}
CHOOSES = {"where": 0, "dropped": 1}  # which operand says which of two to take
FEW = (
    16  # halves and whole numbers up to here are part of a loop; others are given, so that it is compiled once for all
)
MOST = 60  # operands and results of one loop
LONGEST = (
    60  # steps of one loop, of which some take as long as many: what is longer takes more to compile than it saves
)
MANY = {name: 10 for name, step in loops.STEPS.items() if step == f"{name}({{0}})"} | {"pow": 20}


class Form(NamedTuple):
    """Over what a call goes, entry by entry: the shape, and where rows end and the entries in them begin, if it matters."""

    shape: tuple[int, ...]
    char: str
    split: int | None

    def joined(self, other: Form) -> Form | None:
        """The form of two calls in one loop, if there is one."""
        if self.shape != other.shape or (self.char != other.char and "?" not in (self.char, other.char)):
            return None
        if self.char == "?":
            return other.joined(self) if other.char != "?" else self._join(other)
        return self._join(other)

    def _join(self, other: Form) -> Form | None:
        if self.split is None or other.split is None or self.split == other.split:
            return self._replace(split=other.split if self.split is None else self.split)
        return None


FORMS: WeakKeyDictionary[Call, Form | None] = WeakKeyDictionary()


def form_of(call: Call) -> Form | None:
    """Over what a call goes; None if it does not work entry by entry, or on arrays that lie otherwise than in order."""
    if call not in FORMS:
        FORMS[call] = found_form(call)
    return FORMS[call]


def found_form(call: Call) -> Form | None:
    """The same, looked at."""
    if is_total(call):
        return Form(call.args[0].shape, call.args[0].dtype.char, None)
    if call.op.name not in STEPS or len(call.changes) != 1 or not literal(call):
        return None
    target = call.changes[0]
    chars = {a.dtype.char for a in (*call.reads, target)}
    if any(a.overlaps(target) and a != target for a in call.reads):
        return None  # it would read what it has just written
    if not target.contiguous or not chars <= {"f", "d", "?"} or chars >= {"f", "d"}:
        return None
    split: int | None = None
    for a in call.reads:
        lies = lying(a, target.shape)
        if lies is None:
            return None
        if isinstance(lies, tuple):
            if split not in (None, lies[1]):
                return None
            split = lies[1]
    return Form(target.shape, "".join(chars - {"?"}) or "?", split)


def is_total(call: Call) -> bool:
    """Whether a call adds up all entries of an array, which can be done where these are made."""
    if call.op.name not in ("sum", "mean"):
        return False
    x, y = call.args[0], call.results[0]
    return (
        isinstance(x, Array) and x.contiguous and x.size > y.size == 1 and x.dtype == y.dtype and x.dtype.char in "fd"
    )


def literal(call: Call) -> bool:
    """Whether all that is no array is a number that can be written down."""
    others = [a for a in call.args if not isinstance(a, Array)] + list(call.params.values())
    return all(type(v) in (int, float, bool) for v in others)


def lying(a: Array, shape: tuple[int, ...]) -> str | tuple[str, int] | None:
    """How an operand lies beside entries of a shape: full, one for all, or in rows of which kind and from which axis on."""
    a = narrowed(a)
    if a.size == 1:
        return nest.ONE if prod(shape) > 1 else nest.FULL
    if not a.contiguous:
        return None
    if a.shape == shape:
        return nest.FULL
    padded = (1,) * (len(shape) - len(a.shape)) + a.shape
    for split in range(1, len(shape)):
        if padded[split:] == shape[split:] and all(n == 1 for n in padded[:split]):
            return nest.ROW, split
        if padded[:split] == shape[:split] and all(n == 1 for n in padded[split:]):
            return nest.COLUMN, split
    wide = [d for d, n in enumerate(padded) if n > 1]
    if len(wide) == 1 and wide[0] + 1 < len(shape) and padded[wide[0]] == shape[wide[0]]:
        return nest.CYCLE, wide[0] + 1
    alone = [d for d, (n, m) in enumerate(zip(padded, shape)) if n != m]  # axes along which rows are the same
    if alone and alone == [*range(alone[0], alone[-1] + 1)] and all(padded[d] == 1 for d in alone):
        return nest.GROUP, alone[-1] + 1
    return None


def narrowed(a: Array) -> Array:
    """An array without the axes along which it is spread."""
    if 0 not in a.strides:
        return a
    return a._replace(shape=tuple(1 if step == 0 else n for n, step in zip(a.shape, a.strides)))


def fused(program: Program) -> Program:
    """The program with loops in place of calls that can share them, in an order in which many can."""
    groups = later(program.calls, grouped(program.calls))
    readers: dict[Block, set[int]] = {}
    for g, members in enumerate(groups):
        for call in members:
            for a in call.reads:
                readers.setdefault(a.block, set()).add(g)
    outside = {a.block for a in program.outputs}
    order: list[Call] = []
    for g, members in enumerate(groups):
        if form_of(members[0]) is None or all(map(is_total, members)):
            order += members
        else:
            inner = lambda b, g=g: b.kind == TEMPORARY and b not in outside and readers.get(b, set()) <= {g}
            order.append(Loop(members, inner).call())
    return program.having(order)


def grouped(calls: list[Call]) -> list[list[Call]]:
    """Calls in an order in which those that can share a loop stand together; others are as early as they can be."""
    needed = dependencies(calls)
    after: list[list[int]] = [[] for _ in calls]
    for k, before in enumerate(needed):
        for j in before:
            after[j].append(k)
    waits, forms = [len(before) for before in needed], [form_of(call) for call in calls]
    ready = [k for k, n in enumerate(waits) if n == 0]
    groups: list[list[Call]] = []

    def take(k: int, group: list[Call]) -> None:
        ready.remove(k)
        group.append(calls[k])
        for j in after[k]:
            waits[j] -= 1
            if waits[j] == 0:
                bisect.insort(ready, j)

    while ready:
        first = next((k for k in ready if forms[k] is None), ready[0])
        groups.append(group := [])
        form = forms[first]
        take(first, group)
        while form is not None and (more := joining(form, group, calls, forms, ready)) is not None:
            form = form.joined(forms[more])  # type: ignore[arg-type]
            take(more, group)
    return groups


def joining(form: Form, group: list[Call], calls: list[Call], forms: list[Form | None], ready: list[int]) -> int | None:
    """The first of those ready that can go into a loop."""
    for k in ready:
        other = forms[k]
        if other is not None and form.joined(other) and fits(group, calls[k]):
            return k
    return None


def later(calls: list[Call], groups: list[list[Call]]) -> list[list[Call]]:
    """Calls whose result only a later loop reads go there: it reads what they read, and nothing need be kept for it."""
    place = {id(call): g for g, group in enumerate(groups) for call in group}
    readers: dict[Block, list[Call]] = {}
    writers: dict[Block, list[int]] = {}
    for call in calls:
        for a in call.reads:
            readers.setdefault(a.block, []).append(call)
        for a in call.changes:
            writers.setdefault(a.block, []).append(place[id(call)])
    for g in reversed(range(len(groups))):
        for call in reversed(list(groups[g])):
            if form_of(call) is None or not call.pure or not call.results[0].whole or len(groups[g]) == 1:
                continue
            goals = {place[id(r)] for r in readers.get(call.results[0].block, ())}
            if len(goals) != 1 or (goal := goals.pop()) <= g or call.op.name not in CHEAP:
                continue
            forms = list(map(form_of, groups[goal]))
            if forms[0] is None or not fits(groups[goal], call) or joint([*forms, form_of(call)]) is None:
                continue
            then = {a.block for c in groups[g][groups[g].index(call) + 1 :] for a in c.changes}
            if any(a.block in then or any(g < w <= goal for w in writers.get(a.block, ())) for a in call.reads):
                continue  # it would read what was written since
            groups[g].remove(call)
            groups[goal].insert(0, call)
            place[id(call)] = goal
    return groups


def joint(forms: list[Form | None]) -> Form | None:
    """The form of all calls in one loop."""
    form = forms[0]
    for other in forms[1:]:
        form = form and other and form.joined(other)
    return form


def fits(group: list[Call], call: Call) -> bool:
    """Whether a call can go into a loop: arrays that share memory must be the same, and loops not grow without bounds.

    What a loop adds up is known only when it has ended, and it adds up nothing that it does not look at anyway.
    """
    seen = [a for c in group for a in (*c.reads, *c.changes)]
    if {a.block for a in call.reads} & {c.results[0].block for c in group if is_total(c)}:
        return False
    if is_total(call) and call.args[0] not in seen:
        return False
    if sum(MANY.get(c.op.name, 1) for c in (*group, call)) > LONGEST or len(
        {*seen, *call.reads, *call.changes}
    ) > MOST + len(group):
        return False
    written = [a for c in group for a in c.changes]
    clash = lambda a, others: any(a != b and a.overlaps(b) for b in others)
    return not any(clash(a, written) for a in call.reads) and not any(clash(a, seen) for a in call.changes)


class Loop:
    """One loop in the making."""

    def __init__(self, calls: list[Call], inner):
        self.calls, self.inner = calls, inner
        self.form = joint(list(map(form_of, calls)))
        self.operands: list[Any] = []  # arrays, and numbers
        self.names: dict[Any, str] = {}
        self.steps: list[str] = []
        self.kept: dict[Array, str] = {}
        self.totals: dict[Array, tuple[str, float]] = {}

    def operand(self, a) -> str:
        """How an array is named in the loop."""
        if a not in self.names:
            self.names[a] = f"x{len(self.operands)}"
            self.operands.append(a)
        return self.names[a]

    def number(self, v: Any) -> str:
        """How a number is written: as it is if it is a usual one, else it is given, so that a loop does for others too."""
        usual = isinstance(v, bool) or (v == v and abs(v) <= FEW and v * 2 == int(v * 2))
        return f"number({v!r})" if usual else self.operand(float(v))

    def written(self, call: Call) -> None:
        """Add the step of a call."""
        if is_total(call):
            x = call.args[0]
            self.totals[call.results[0]] = self.operand(x), float(x.size if call.op.name == "mean" else 1)
            return
        name, truth = call.op.name, call.op.name in loops.TRUTHS
        given = []
        for k, a in enumerate(call.args):
            as_truth = truth or k == CHOOSES.get(name)
            if not isinstance(a, Array):
                given.append(repr(a) if truth and isinstance(a, bool) else self.number(a))
            elif a.dtype.char == "?" and not as_truth and call.changes[0].dtype.char != "?":
                given.append(f"(one if {self.operand(a)} else zero)")
            else:
                given.append(self.operand(a))
        params = {n: self.number(p) for n, p in call.params.items()}
        target = call.changes[0]
        value = f"t{len(self.steps)}"
        self.steps.append(f"{value} = {STEPS[name].format(*given, **params)}")
        self.names[target] = value
        self.kept[target] = value

    def call(self) -> Call:
        """The loop as a call."""
        for call in self.calls:
            self.written(call)
        stores, results, writes = [], [], []
        for a, value in self.kept.items():
            if self.inner(a.block):
                continue
            over = self.operands.index(a) if a in self.operands else None
            stores.append((value, a.dtype.char, over))
            (writes if over is not None else results).append(a)
        kinds = []
        for a in self.operands:
            lies = lying(a, self.form.shape) if isinstance(a, Array) else nest.NUMBER
            kinds.append((lies if isinstance(lies, str) else lies[0], a.dtype.char if isinstance(a, Array) else "d"))
        totals = tuple(self.totals.values())
        described = nest.Nest(self.form.char, tuple(kinds), tuple(self.steps), tuple(stores), totals)
        lines = list(dict.fromkeys(c.line for c in self.calls))
        rows, columns = sizes(self.form)
        settings = {"nest": described, "rows": rows, "columns": columns, "names": [c.op.name for c in self.calls]}
        return Call(
            FUSED,
            tuple(narrowed(a) if isinstance(a, Array) else a for a in self.operands),
            {},
            (*results, *self.totals),
            tuple(writes),
            "; ".join(lines[:3]),
            settings,
        )


def sizes(form: Form) -> tuple[int, int]:
    """How many rows, and entries in each."""
    rows = columns = 1
    for d, n in enumerate(form.shape):
        if form.split is None or d < form.split:
            rows *= n
        else:
            columns *= n
    return rows, columns
