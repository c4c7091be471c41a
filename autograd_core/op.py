"""The op record: a forward function on arrays, one rule per differentiable input, samples to test on.

A rule is bound by the names of its parameters.  `lambda g, y: g * (1 - y * y)` is given the output, hence the tape
keeps the output and nothing else.  What a rule may name: `g` (the cotangent, first), `y` (the output), an input,
`<input>_shape`, a static parameter, `i` (which of a variadic op's inputs is meant), and `**p` (the static parameters
it did not name).
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import explained
from .kernels.elementwise import LARGE, with_loops
from .samples import Samples, elementwise_samples, parse

REGISTRY: dict[str, Op] = {}
PULLS: list[Callable] = []  # the class that makes one loop of the rules of an elementwise op, once there is one


class Traced:
    """A value with a say in how ops act on it: Tensor, Dual and Batched each define `apply`."""

    __slots__ = ()
    level = 0  # of nested transforms; the highest level among an op's arguments decides
    is_number = (
        False  # whether it stands for a number, so that += makes another and does not change what it is an alias of
    )

    def apply(self, op: Op, args: tuple, params: dict) -> Any:
        raise NotImplementedError


class Rule:
    """A gradient rule, reduced to what it reads and to the source of its call."""

    def __init__(self, fn: Callable, op: Op, skip: int = 1):
        if not inspect.isfunction(fn):
            raise TypeError(f"{op.name}: a rule must be a function, got {fn!r}")
        signature = Signature(fn)
        named = [*signature.positional, *signature.keywords][skip:]
        unknown = [n for n in named if n not in op.slots and n != "i"]
        if unknown:
            raise TypeError(f"{op.name}: a rule asks for {unknown[0]!r}; it may ask for: {', '.join(op.slots)}")
        takes_rest = signature.takes_rest
        rest = [n for n in op.defaults if n not in named] if takes_rest else []
        self.fn, self.reads = fn, frozenset(named + rest) - {"i"}
        self.arguments = [None if n == "i" else f"env[{op.slots[n]}]" for n in named]
        self.arguments += [f"{n}=env[{op.slots[n]}]" for n in rest]

    def source(self, name: str, i: int, mode: str) -> str:
        """The call that yields the cotangent of input i."""
        return f"{name}({', '.join(['g', *(a or str(i) for a in self.arguments)])})"


class Partial(Rule):
    """The rule of an elementwise op: multiply by a partial derivative, given as a function or as a number."""

    def __init__(self, partial: Callable | float, op: Op):
        self.constant = None if callable(partial) else partial
        super().__init__(partial if callable(partial) else lambda: partial, op, skip=0)

    def source(self, name: str, i: int, mode: str) -> str:
        if self.constant in (1, -1):
            return "g" if self.constant == 1 else "-g"
        partial = f"{name}({', '.join(self.arguments)})"
        return {"fast": f"g * {partial}", "careful": f"masked(g, {partial})", "complex": f"masked(g, conj({partial}))"}[
            mode
        ]


class Plan:
    """For one choice of inputs that need gradients: what to keep, and how to pull a cotangent back to them."""

    __slots__ = ("op", "count", "wrt", "reads", "keeps", "save", "fast", "careful")
    owns = True  # whether arrays that a rule has made are nobody else's

    def __init__(self, op: Op, needs: int, count: int, holomorphic: bool):
        self.op, self.count = op, count
        self.wrt = tuple(i for i in range(count) if needs >> i & 1 and op.rule(i) is not None)
        self.reads = frozenset().union(*(op.rule(i).reads for i in self.wrt))
        self.keeps = any(n in self.reads for n in ("y", *op.inputs))
        self.save = self._saver()
        self.careful = self._puller("complex" if holomorphic else "careful")
        self.fast = self.careful if holomorphic else self._puller("fast")

    def restricted(self, keep: Sequence[bool]) -> Plan:
        """The plan for only some of the inputs in `wrt`; it reads from the same list."""
        key = sum((1 << i for i, k in zip(self.wrt, keep) if k), 1 << self.count)
        return self.op.plan(key, self.fast is self.careful)

    def _saver(self) -> Callable:
        """`save(y, *inputs, **params)` lists what the rules will read, with None for everything else."""
        op, star = self.op, "*" if self.op.variadic else ""
        signature = ["y", *(star + n for n in op.inputs), *([] if star else ["*"] * bool(op.defaults))]
        signature += [f"{n}=defaults[{n!r}]" for n in op.defaults]
        shape = "tuple(map(_shape, {}))" if star else "_shape({})" if op.elementwise else "{}.shape"
        slots = [(n, n) for n in ("y", *op.inputs)] + [(f"{n}_shape", shape.format(n)) for n in op.inputs]
        kept = [source if n in self.reads else "None" for n, source in slots + [(n, n) for n in op.defaults]]
        return eval(
            f"lambda {', '.join(signature)}: [{', '.join(kept)}]", {"_shape": np.shape, "defaults": op.defaults}
        )

    def _puller(self, mode: str) -> Callable:
        """`pull(g, env)` gives the cotangents of the inputs in `wrt`, in order; mode is fast, careful or complex."""
        scope: dict[str, Any] = {name: REGISTRY[name].call for name in ("masked", "conj") if name in REGISTRY}
        if self.op.together:
            pick = operator.itemgetter(*self.wrt) if len(self.wrt) > 1 else lambda cts: (cts[self.wrt[0]],)
            scope |= {"rule": self.op.together.fn, "pick": pick}
            body = f"pick({self.op.together.source('rule', 0, mode)})"
        else:
            rules = {i: self.op.rule(i) for i in self.wrt}
            scope |= {f"rule{i}": rule.fn for i, rule in rules.items()}
            body = "".join(f"{rule.source(f'rule{i}', i, mode)}, " for i, rule in rules.items())
        pull = eval(f"lambda g, env: ({body})", scope)
        if mode != "fast" or not self.op.elementwise or self.op.together or not PULLS or not self.reads:
            return pull
        scope |= {"ndarray": np.ndarray, "in_one_loop": PULLS[0](self, pull)}
        chosen = f"({body}) if g.__class__ is not ndarray or g.size < {LARGE} else in_one_loop(g, env)"
        return eval(f"lambda g, env: {chosen}", scope)


class Op:
    """A primitive: how to compute it, how to differentiate it, what to test it on.

    `linear`       linear in each array argument, so its forward mode is itself
    `elementwise`  acts entry by entry with broadcasting
    `trailing`     acts on the last axes only (axes counted from the end), so a leading batch axis rides along
    `view`         the result may share memory with the first input
    `promotes`     array arguments are brought to one dtype first; "inexact" also turns integers into floats
    `jvp`, `batch` explicit rules where the derived ones will not do
    """

    def __init__(
        self,
        forward: Callable,
        rules: Sequence,
        *,
        name: str | None = None,
        samples: Samples | Sequence[Samples] | str | Callable = (),
        rule: type[Rule] = Rule,
        together: Callable | None = None,
        linear: bool = False,
        elementwise: bool = False,
        trailing: bool = False,
        view: bool = False,
        promotes: bool | str = False,
        differentiable: bool = True,
        mutates: tuple[str, ...] = (),
        outputs: int = 1,
        jvp: Callable | None = None,
        batch: Callable | None = None,
        inputs: tuple[str, ...] | None = None,
    ):
        self.name, self.forward = name or forward.__name__, forward
        self.inputs, self.defaults, self.variadic = _parameters(forward, inputs)
        arrays = (*self.inputs, *(f"{i}_shape" for i in self.inputs))
        self.slots = {s: k for k, s in enumerate(("y", *arrays, *self.defaults))}
        self.linear, self.elementwise, self.trailing, self.view = linear, elementwise, trailing, view
        self.promotes, self.differentiable, self.mutates = promotes, differentiable and bool(rules or together), mutates
        self.outputs, self.jvp, self.batch = outputs, jvp, batch
        if rules and len(rules) != len(self.inputs):
            raise TypeError(
                f"{self.name}: {len(rules)} rules for {len(self.inputs)} inputs; None stands for no derivative"
            )
        self.rules = [None if r is None else rule(r, self) for r in rules]
        self.together = Rule(together, self) if together else None
        self.samples = parse(samples)
        self.plans: dict[int, Plan] = {}  # by a bit for each input that needs a gradient, and one above all
        self.complex_plans: dict[int, Plan] = {}
        self.quick: dict[int, Plan] = {}  # those for real results in which every input that needs a gradient has a rule
        self.call = _caller(self)

    def rule(self, i: int) -> Rule | None:
        """The rule of input i; a variadic op has one for all."""
        if self.together:
            return self.together
        return self.rules[0 if self.variadic else i] if self.rules else None

    def plan(self, key: int, holomorphic: bool = False) -> Plan:
        """The plan for the inputs whose bits are set in `key`, which has one more bit above them all."""
        plans = self.complex_plans if holomorphic else self.plans
        if key not in plans:
            count = key.bit_length() - 1
            needs = key - (1 << count)
            plan = plans[key] = Plan(self, needs, count, holomorphic)
            if not holomorphic and len(plan.wrt) == needs.bit_count():
                self.quick[key] = plan
        return plans[key]

    def __call__(self, *args, **params):
        return self.call(*args, **params)

    def __reduce__(self):
        return REGISTRY.__getitem__, (self.name,)

    def __repr__(self):
        return f"<op {self.name}>"

    def describe(self) -> str:
        """What each rule reads, which is what the tape keeps."""
        rules = zip(self.inputs, [self.together] * len(self.inputs) if self.together else self.rules)
        return "\n".join(f"d/d{n}: reads {', '.join(sorted(r.reads)) or 'nothing'}" for n, r in rules if r)


def _parameters(forward: Callable, inputs: tuple[str, ...] | None) -> tuple[tuple[str, ...], dict[str, Any], bool]:
    """Array inputs, defaults of the static parameters, and whether the inputs are variadic."""
    if inputs is not None:
        return inputs, {}, False
    signature = Signature(forward)
    defaults = {n: signature.defaults.get(n, REQUIRED) for n in signature.keywords}
    return (*signature.positional, *signature.variadic), defaults, bool(signature.variadic)


REQUIRED = inspect.Parameter.empty


class Signature:
    """The names of a function's parameters, read from its code: `inspect.signature` would double the time to import."""

    def __init__(self, fn: Callable):
        code = inspect.unwrap(fn).__code__
        count = code.co_argcount + code.co_kwonlyargcount
        self.positional = code.co_varnames[: code.co_argcount]
        self.keywords = code.co_varnames[code.co_argcount : count]
        self.variadic = code.co_varnames[count : count + 1] if code.co_flags & inspect.CO_VARARGS else ()
        self.takes_rest = bool(code.co_flags & inspect.CO_VARKEYWORDS)
        self.defaults = fn.__kwdefaults__ or {}


MANY = 3
SHORTCUTS: dict[int, Callable] = {}  # for one input, two and MANY: a faster way to call, for the usual traced value


def _caller(op: Op) -> Callable:
    """The function that users call: plain arrays are computed at once, a traced value decides for itself."""
    forward = op.forward

    def call(*args, **params):
        for a in args:
            if isinstance(a, Traced):
                return a.apply(op, args, params)
        try:
            return forward(*args, **params)
        except Exception as error:
            raise explained(op, args, error) from error

    count = len(op.inputs)
    if op.outputs == 1 and not (op.view and count > 1 or op.mutates or op.variadic):
        way = count if count == 1 or count == 2 and op.elementwise and not op.defaults else not op.promotes and MANY
        call = SHORTCUTS[way](op, call) if way in SHORTCUTS else call
    call.op = op
    call.__name__ = call.__qualname__ = op.name
    stated = forward.__doc__ if inspect.isfunction(forward) else None
    call.__doc__ = stated or (f"{op.name}, elementwise." if op.elementwise else None)
    return call


# --- errors ----------------------------------------------------------------------------------------------------------


def register(op: Op) -> Callable:
    """Enter an op in the registry and return the function that calls it."""
    if op.name in REGISTRY:
        raise ValueError(f"{op.name}: an op of this name exists already; give this one another by name=...")
    REGISTRY[op.name] = op
    return op.call


def op(*rules, **options) -> Callable:
    """Declare a primitive by its forward function: positional parameters are arrays, keyword-only ones static."""
    return lambda forward: register(Op(forward, rules, **options))


def elementwise(forward: Callable, *partials, domain: str = "", inputs=None, promotes: bool | str = True, **options):
    """Declare y = f(x) or f(a, b) by its partial derivatives; gradient, forward mode, batching and tests follow.

    Each partial is a number, None (not differentiable), or a function of what it needs by name.
    """
    if inputs is None and isinstance(forward, np.ufunc):
        inputs = ("x",) if forward.nin == 1 else ("a", "b")
    forward = with_loops(options.get("name") or forward.__name__, forward, len(inputs or partials))
    options = {"samples": elementwise_samples(len(inputs or partials), domain), "rule": Partial} | options
    return register(Op(forward, partials, elementwise=True, inputs=inputs, promotes=promotes, **options))


def predicate(forward: Callable, **options) -> Callable:
    """Declare an elementwise function without a derivative: a comparison, a test, a rounding to integers."""
    return elementwise(forward, **{"differentiable": False, "samples": ()} | options)
