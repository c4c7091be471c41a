"""Every op captured and replayed on other numbers: the same as running it, in value, gradient and second gradient."""

import itertools
import zlib

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import CaptureError, compile
from autograd_core.compiled import passes
from autograd_core.compiled.capture import SHAPED_BY_DATA
from autograd_core.op import REGISTRY
from autograd_core.testing import jiggled

TOLD_APART = {"ctc_of", "ctc_shares", "others", "scatter_reduce"}  # calls, by values that decide what is computed
OPS = sorted(name for name, op in REGISTRY.items() if op.samples and name not in SHAPED_BY_DATA)


def step_of(op, params):
    """Results, gradients of a weighted sum of them, and gradients of the size of these."""

    def step(*xs):
        y = op.call(*xs, **params)
        ys = [t for t in (y if isinstance(y, tuple) else (y,)) if isinstance(t, ag.Tensor)]
        roots = [t for t in ys if t.requires_grad]
        given = [x for x in xs if x.requires_grad]
        found = [t.detach() for t in ys]
        if not roots:
            return found
        loss = sum_of([t * t for t in roots])
        gs = ag.gradient(loss, given, create_graph=True, allow_unused=True)
        found += [g.detach() for g in gs if g is not None]
        tracked = [g for g in gs if g is not None and g.requires_grad]
        if tracked:
            found += [h for h in ag.gradient(sum_of(tracked), given, allow_unused=True) if h is not None]
        return found

    return step


def sum_of(ts):
    total = 0
    for t in ts:
        total = total + (t.real.sum() if t.dtype.kind == "c" else t.sum())
    return total


def given(arrays):
    made = []
    for a in arrays:
        t = ag.tensor(np.array(a))
        made.append(t.requires_grad_() if t.dtype.kind in "fc" else t)
    return made


@pytest.fixture(autouse=True)
def without_loops(monkeypatch):
    """To compile a loop for everything would take half an hour; test_compile.py has loops."""
    monkeypatch.setattr(passes, "PASSES", [p for p in passes.PASSES if p is not passes.fused])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPS)
def test_a_replay_is_what_running_it_gives(name, dtype):
    op = REGISTRY[name]
    for k, sample in enumerate(op.samples):
        rng = np.random.default_rng([zlib.crc32(name.encode()), k])
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        arrays = [np.asarray(a) for a in arrays]
        arrays = [a.astype(dtype) if a.dtype == np.float64 else a for a in arrays]
        others = [jiggled(a, 1).astype(a.dtype) for a in arrays]
        compiled = compile(step_of(op, params))
        try:
            compiled(*given(arrays))
        except CaptureError as error:
            assert name in TOLD_APART and "a value leaves the tensors" in str(error), error
            continue
        compiled(*given(others))
        for values in (others, arrays):
            expected, actual = step_of(op, params)(*given(values)), compiled(*given(values))
            assert len(expected) == len(actual)
            for a, b in zip(expected, actual):
                assert a.shape == b.shape and a.dtype == b.dtype
                np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-6 if dtype == "float64" else 1e-4, atol=1e-5)
        if all(np.size(a) for a in (*arrays, *expected)) and name not in TOLD_APART:  # nothing lies nowhere
            assert compiled.cache_info().replays == 2


TYPES = {
    "f": lambda rng: rng.normal(size=(3, 4)).astype("f"), "l": lambda rng: rng.integers(-3, 4, (3, 4)),
    "B": lambda rng: rng.integers(0, 4, (3, 4)).astype("B"), "?": lambda rng: rng.random((3, 4)) > 0.5,
    "number": lambda rng: 2,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OPS if REGISTRY[name].elementwise and not REGISTRY[name].defaults])
def test_operands_of_other_types(name):
    """All that the op itself takes."""
    op, rng = REGISTRY[name], np.random.default_rng(0)
    function = compile(op.call, cache_size=1000)
    for kinds in itertools.product(TYPES, repeat=len(op.inputs)):
        if set(kinds) == {"number"}:
            continue
        args = [v if kind == "number" else ag.tensor(v) for kind in kinds for v in [TYPES[kind](rng)]]
        with np.errstate(all="ignore"):
            try:
                wanted = op.call(*args)
            except (AttributeError, TypeError, ValueError):
                continue
            found = [function(*args) for _ in range(3)][-1]
        assert found.dtype == wanted.dtype, kinds
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5, err_msg=str(kinds))
