"""Break each rule in turn; the generated properties must notice at least 99 % of the breaks."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import autograd_core  # noqa: F401 - fills the registry
from autograd_core.op import REGISTRY, Op, Rule
from autograd_core.testing import Case, arrays_agree_with_tensors, reverse_matches_differences

REFUSED = {("zeta", 0), ("gammainc", 0), ("gammaincc", 0)}  # their rules raise: no formula is known that is of use
COMPLAINT = "its gradient rule returned shape"  # the engine's own, of a cotangent that cannot be the input's
CHECKS = [reverse_matches_differences, arrays_agree_with_tensors]


def wrapped(rule: Rule, change: Callable) -> Callable:
    """The rule's function with its result changed."""
    fn = rule.fn

    def broken(*args, **options):
        result = fn(*args, **options)
        if isinstance(result, tuple):
            return tuple(None if r is None else change(r) for r in result)
        return None if result is None else change(result)

    return broken


def axis_reversed(ct):
    """Right numbers in the wrong places."""
    return ct[tuple(slice(None, None, -1) for _ in ct.shape)] if ct.shape else ct * 1.25


def one_missing(ct):
    """A sum that forgets half a term."""
    kept = np.ones(ct.shape, ct.dtype.type(0).real.dtype if ct.dtype.kind in "fc" else float)
    kept.flat[:1] = 0.5
    return ct * kept


MUTATIONS: dict[str, Callable] = {
    "sign": lambda ct: 0 - 1 * ct,  # of truth values too
    "scale": lambda ct: ct * 1.01,
    "order": axis_reversed,
    "missing term": one_missing,
    "nothing": lambda ct: ct * 0,
}


def mutants() -> Iterator[tuple[Op, int, str]]:
    for op in REGISTRY.values():
        if op.differentiable and op.samples:
            for i, rule in enumerate([op.together] if op.together else op.rules):
                if rule is not None:
                    yield from ((op, i, name) for name in MUTATIONS)
            if not op.together and len(op.rules) == 2 and all(op.rules):
                yield op, 0, "wrong operand"


def survives(op: Op, i: int, mutation: str) -> bool:
    """Whether no property notices the broken rule."""
    rules = [op.together] if op.together else op.rules
    original, constant = rules[i].fn, getattr(rules[i], "constant", None)
    others = rules[1 - i] if mutation == "wrong operand" else None
    break_rule(op, rules, i, mutation, others)
    clear(op)
    try:
        return not noticed(op)
    finally:
        if others is not None:
            rules[0], rules[1] = rules[1], rules[0]
        else:
            rules[i].fn = original
            if hasattr(rules[i], "constant"):
                rules[i].constant = constant
        clear(op)


def break_rule(op: Op, rules: list, i: int, mutation: str, others) -> None:
    if others is not None:
        rules[0], rules[1] = rules[1], rules[0]
        return
    rule, change = rules[i], MUTATIONS[mutation]
    if getattr(rule, "constant", None) is not None:
        value = rule.constant
        rule.constant, rule.fn = (
            None,
            lambda: change(np.float64(value)) if value else 0.01,
        )  # a slope where there is none
    else:
        rule.fn = wrapped(rule, change)


def clear(op: Op) -> None:
    op.plans.clear()
    op.complex_plans.clear()
    op.quick.clear()


def noticed(op: Op) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k, sample in enumerate(op.samples):
            for r in range(6):
                rng = np.random.default_rng([k, r])
                arrays, params = (
                    sample.draw(rng, lambda rng=rng: int(rng.integers(2, 4)))
                    if hasattr(sample, "draw")
                    else sample(rng)
                )
                try:
                    for check in CHECKS:
                        check(Case(op, arrays, params, rng))
                except AssertionError:
                    return True
                except Exception as error:  # a break that crashes in another way proves nothing
                    if isinstance(error, RuntimeError) and COMPLAINT in str(error):
                        return True
    return False


@pytest.mark.slow
def test_broken_rules_are_noticed(record_property) -> None:
    total, alive = 0, []
    for op, i, mutation in mutants():
        if equivalent(op, i, mutation):
            continue
        total += 1
        if survives(op, i, mutation):
            alive.append((op.name, i, mutation))
    caught = total - len(alive)
    record_property("broken rules noticed", f"{caught} of {total} ({100 * caught / total:.2f} %); not: {alive}")
    assert len(alive) <= 0.01 * total


def equivalent(op: Op, i: int, mutation: str) -> bool:
    """Breaks that change nothing: exchanging equal rules, and all but one of the breaks of a zero."""
    rules = [op.together] if op.together else op.rules
    constant = getattr(rules[i], "constant", None)
    if (op.name, i) in REFUSED:
        return True
    if mutation == "wrong operand":
        return constant is not None and constant == getattr(rules[1], "constant", None)
    return constant == 0 and mutation != "scale"
