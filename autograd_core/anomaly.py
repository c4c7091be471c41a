"""Where a NaN came from, and why a gradient is missing, zero or NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import backward as reverse
from .blame import notes
from .op import Op, Traced
from .reach import ancestors, leading_to
from .tape import Node, current, no_grad, places, user_line, using
from .tensor import Tensor

PLAIN_NUMBERS = (int, float, complex, np.generic)


def _array(v: Any) -> np.ndarray | None:
    while isinstance(v, Traced):
        v = v.innermost()
    return np.asarray(v) if isinstance(v, (np.ndarray, *PLAIN_NUMBERS)) else None


def _arrays(values: Any) -> list[np.ndarray]:
    found = [_array(v) for v in (values if isinstance(values, (tuple, list)) else (values,))]
    return [a for a in found if a is not None and a.dtype.kind in "fc"]


def describe(v: Any) -> str:
    """Shape, type, range of the finite entries, and how many are not finite."""
    a = _array(v)
    if a is None:
        return repr(v)[:60]
    if a.dtype.kind not in "fc" or not a.size:
        return f"{a.shape} {a.dtype}"
    finite = np.isfinite(a)
    good = np.abs(a[finite]) if a.dtype.kind == "c" else a[finite]
    span = f"from {good.min():.4g} to {good.max():.4g}" if good.size else "no finite entry"
    bad = f", {np.isnan(a).sum()} NaN, {np.isinf(a).sum()} Inf of {a.size}" if not finite.all() else ""
    return f"{a.shape} {a.dtype}, {span}{bad}"


def _breaks(before: list[np.ndarray], after: list[np.ndarray]) -> str | None:
    """What is in the results that was not in the inputs: "NaN", "Inf" or nothing."""
    if all(np.isfinite(a).all() for a in after):
        return None
    if any(np.isnan(a).any() for a in after):
        return None if any(np.isnan(a).any() for a in before) else "NaN"
    return None if any(np.isinf(a).any() for a in before) else "Inf"


def _watch(call: Any, args: tuple, params: dict, result: Any) -> None:
    """Raise at the first call, forward or backward, that makes a NaN or Inf out of finite numbers."""
    if isinstance(call, Node):
        _watch_backward(call, args[0], result)
    elif isinstance(call, Op) and call.name != "overwrite":
        flat = [x for a in args for x in (a if isinstance(a, (tuple, list)) else (a,))]
        what = _breaks(_arrays([*flat, *params.values()]), _arrays(result))
        if what:
            named = zip(call.inputs if not call.variadic else map(str, range(len(args))), args)
            inputs = "".join(f"\n  {name}: {describe(a)}" for name, a in named)
            result = f"\n  result: {describe(_first(result))}"
            raise RuntimeError(f"{call.name} made {what} in forward, at {user_line()}, from{inputs}{result}")


def _watch_backward(node: Node, g: Any, cotangents: tuple) -> None:
    what = _breaks(_arrays(g), _arrays(list(cotangents)))
    if what:
        op = node.plan.op
        kept = "".join(
            f"\n  {n}: {describe(node.env[k])}"
            for n, k in op.slots.items()
            if k <= len(op.inputs) and node.env[k] is not None
        )
        where = places.get(node, "a line that was not recorded: make the forward call inside detect_anomaly too")
        raise RuntimeError(
            f"the gradient of {op.name} is {what}, recorded at {where}\n  cotangent: {describe(_first(g))}{kept}"
        )


def _first(v: Any) -> Any:
    return next((x for x in v if x is not None), None) if isinstance(v, tuple) else v


@contextmanager
def detect_anomaly(check_nan: bool = True) -> Iterator[None]:
    """Report the first NaN or Inf, in forward or backward, with the call and the line of yours that made it."""
    with (
        using(anomaly=True, observers=(*current().observers, _watch) if check_nan else current().observers),
        np.errstate(all="ignore"),
    ):
        yield


# --- explain ---------------------------------------------------------------------------------------------------------


class Trail:
    """All that happened to tensors in a run: which call took which value to which."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []  # (name, line, ids of inputs, results)

    def __call__(self, call: Any, args: tuple, params: dict, result: Any) -> None:
        if isinstance(call, Op):
            flat = [x for a in args for x in (a if isinstance(a, (tuple, list)) else (a,)) if isinstance(x, Tensor)]
            results = [r for r in (result if isinstance(result, tuple) else (result,)) if isinstance(r, Tensor)]
            self.calls.append((call.name, user_line(), flat, results, current().grad))


def explain(parameter: Tensor, of: Tensor | Callable[[], Tensor] | None = None) -> str:
    """Why a parameter's gradient is None, zero or not finite: the first call on the path that caused it.

    `of` is the result that was differentiated, or better a function that computes it: then everything on the way is
    seen, also what cut the path.  Without it, the last backward is examined as far as its graph is still there.
    """
    if not isinstance(parameter, Tensor):
        raise TypeError(f"explain: expected a Tensor, got {type(parameter).__name__}")
    if not parameter.requires_grad:
        return "it does not require gradients: requires_grad is False"
    trail = Trail()
    if callable(of):
        with using(observers=(*current().observers, trail), anomaly=True):
            of = of()
    root = of if of is not None else reverse.last_root()
    if root is None or (of is None and parameter.grad is not None and _freed(root)):
        return _remembered(parameter)
    return _explained(parameter, root, trail)


def _freed(root: Any) -> bool:
    return any(isinstance(n, Node) and n.env is None for n in ancestors([root]))


def _remembered(parameter: Tensor) -> str:
    """What can be said when the graph is gone: the state of the gradient, and what was noted when it was made."""
    more = "pass a function that computes the result to see the way it came"
    if parameter.grad is None:
        return f"no backward has reached it, or the result is gone; {more}"
    state = _state(parameter.grad)
    if state in ("zero", "NaN") and parameter.leaf in notes:
        return f"{notes[parameter.leaf]}; {more}"
    return f"its gradient is {'not zero and finite' if state == 'fine' else state}: {describe(parameter.grad)}"


def _explained(parameter: Tensor, root: Any, trail: Trail) -> str:
    node = (root.grad_fn or root.node) if isinstance(root, Tensor) else root
    target = parameter.grad_fn or parameter.node
    if node is None:
        return f"the result does not require gradients. {_cut(parameter, trail)}"
    order = ancestors([node])
    if target not in order:
        return f"the result does not depend on it. {_cut(parameter, trail)}"
    return _followed(target, node, order)


def _cut(parameter: Tensor, trail: Trail) -> str:
    """The first call that took the parameter, or something made of it, off the tape."""
    on_path = {id(parameter)}
    for name, line, inputs, results, recording in trail.calls:
        if any(id(t) in on_path for t in inputs):
            for r in results:
                if r.requires_grad:
                    on_path.add(id(r))
                    continue
                why = "under no_grad" if not recording else "whose result has no gradient"
                return f"The path ends at {name} ({why}), at {line}."
    for name, line, inputs, results, _ in trail.calls:
        if not results and any(id(t) in on_path for t in inputs):
            return f"The path ends at {name} (which leaves the tape), at {line}."
    if not trail.calls:
        return "Pass a function that computes the result to see where the path ends."
    used = any(id(parameter) in map(id, inputs) for _, _, inputs, _, _ in trail.calls)
    return "It is used, but nothing made from it reaches the result." if used else "No recorded call takes it as input."


def _followed(target: Any, root: Any, order: list) -> str:
    """Walk back and say where the cotangent on the way to the target first became zero or not finite."""
    shape, dtype = root.shape, root.dtype
    steps: list[tuple[Node, Any, tuple]] = []
    note = lambda call, args, _, result: steps.append((call, args[0], result)) if isinstance(call, Node) else None
    if any(isinstance(n, Node) and n.env is None for n in order):
        return "its graph has been freed; call backward(retain_graph=True), or pass a function that computes the result"
    walk = reverse.Walk({root: np.ones(shape, dtype)}, order, leading_to(order, {target}), {target}, 0, tracked=False)
    with using(observers=(note,)), no_grad(), np.errstate(all="ignore"):
        found = walk.run(True)
    if target not in found:
        return "no gradient reaches it: every path has a call that hands nothing back"
    state = _state(found[target])
    if state == "fine":
        return f"its gradient is not zero and finite: {describe(found[target])}"
    for node, g, cotangents in steps:
        for ct in cotangents:
            if ct is not None and _state(ct) == state and _state(_first(g)) != state:
                kept = "".join(
                    f"\n  {n}: {describe(node.env[k])}"
                    for n, k in node.plan.op.slots.items()
                    if k <= len(node.plan.op.inputs) and node.env[k] is not None
                )
                line = places.get(node, "an unknown line (use detect_anomaly, or pass a function)")
                first = f"first after {node.name}, recorded at {line}; cotangent before: {describe(_first(g))}"
                return f"its gradient is {state}, {first}{kept}"
    return f"its gradient is {state} from the start: the cotangent of the result is {state}"


def _state(g: Any) -> str:
    a = _array(g)
    if a is None or not a.size:
        return "empty"
    if not np.isfinite(a).all():
        return "NaN" if np.isnan(a).any() else "Inf"
    return "fine" if a.any() else "zero"
