"""Every property of every op on every sample: generated from the declarations; no op is named here."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core  # noqa: F401 - fills the registry
from autograd_core.op import REGISTRY
from autograd_core.testing import PROPERTIES, Case, at, batch_matches_loop, check, outputs, pulled

OPS = sorted(name for name, op in REGISTRY.items() if op.samples)


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.data())
def test_op_has_every_property(name: str, data) -> None:
    op = REGISTRY[name]
    sample = op.samples[data.draw(st.integers(0, len(op.samples) - 1))]
    rng = np.random.default_rng([zlib.crc32(name.encode()), data.draw(st.integers(0, 2**32 - 1))])
    sizes = lambda: data.draw(st.integers(0, 4))
    arrays, params = sample.draw(rng, sizes) if hasattr(sample, "draw") else sample(rng)
    for has_property in PROPERTIES:
        has_property(Case(op, arrays, params, rng))


ELEMENTWISE = [name for name in OPS if REGISTRY[name].elementwise]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_op_takes_single_numbers(name: str) -> None:
    op, rng = REGISTRY[name], np.random.default_rng(zlib.crc32(name.encode()))
    for sample in op.samples:
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        singles = [a if np.ndim(a) == 0 else a[(0,) * a.ndim] for a in arrays if np.size(a)]
        if len(singles) == len(arrays):
            case = Case(op, [np.asarray(a) for a in singles], params, rng)
            for has_property in PROPERTIES:
                has_property(case)
            if not case.skip():
                _same_from_numpy_numbers(case)


def _same_from_numpy_numbers(case: Case) -> None:
    """Where an op follows, its rule hands back NumPy's numbers where arrays without axes went in."""
    leaves = case.leaves()
    (y,), (v,) = outputs(case.op.call(*leaves, **case.params)), case.vs
    for found, wanted in zip(pulled([-y], [-at(v)], [leaves[k] for k in case.where]), case.pull(case.leaves())):
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())


@pytest.mark.parametrize("name", OPS)
def test_every_sample_of_an_op_can_be_drawn(name: str) -> None:
    op = REGISTRY[name]
    for k, sample in enumerate(op.samples):
        rng = np.random.default_rng(k)
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        Case(op, arrays, params, rng)


def test_every_differentiable_op_says_what_to_test_it_on() -> None:
    engine = {"put_view", "filled"}  # tested through views in test_views.py: its path holds ops, not numbers
    # what these are given is a result of another op and means nothing without it: they are that op's second order
    halves = {"attend_mask_pull", "attend_pull", "sequence_pull", "shares", "ties"}
    silent = [n for n, op in REGISTRY.items() if op.differentiable and not op.samples and n not in engine | halves]
    assert not silent, f"no samples: {silent}"


def whole(a: np.ndarray) -> bool:
    return a.dtype.kind in "iub"


def takes_indices(op) -> bool:
    """Whether an op has whole numbers or truth values among its inputs in some sample."""
    draws = [(s.draw if hasattr(s, "draw") else s)(np.random.default_rng(0))[0] for s in op.samples]
    return any(whole(a) and (a.size or hasattr(s, "draw")) for s, d in zip(op.samples, draws) for a in d)


def of_the_first_index(op):
    """A rule for batches that takes the whole numbers of its first member for those of all."""

    def batch(count, values, batched, /, **params):  # parameters of an op may have any name
        member = lambda v, k: v[0 if whole(v) else k]
        rows = [op.call(*[member(v, k) if b else v for v, b in zip(values, batched)], **params) for k in range(count)]
        return tuple(np.stack(ys) for ys in zip(*rows)) if isinstance(rows[0], tuple) else np.stack(rows)

    return batch


@pytest.mark.parametrize("name", [name for name in OPS if takes_indices(REGISTRY[name])])
def test_a_rule_that_ignores_the_batch_of_an_index_is_noticed(name: str, monkeypatch) -> None:
    op = REGISTRY[name]
    monkeypatch.setattr(op, "batch", of_the_first_index(op))
    with pytest.raises(AssertionError, match="member . of a batch|differ in shape"):
        check(op, rounds=10, properties=[batch_matches_loop])
