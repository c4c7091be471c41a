"""The calls of record_reference.py give what PyTorch gave when they were recorded: values, types and gradients."""

import functools
import types

import numpy as np
import pytest
from record_reference import FILE, REFUSED, SINGLE, answer, calls, label, unpacked

import autograd_core as ag
import nn.functional

OURS = types.SimpleNamespace(**vars(ag), nn=nn)
CALLS = {label(*call): call for call in calls()}


@functools.cache
def recorded() -> dict[str, tuple[list, list, list]]:
    """Inputs, results and gradients by the label of the call."""
    with np.load(FILE, allow_pickle=False) as file:
        labels = file["calls"].tolist()
        return dict(zip(labels, unpacked(file["numbers"], file["layout"], len(labels)), strict=True))


def same(actual, expected: np.ndarray, what: str, narrow: bool = False) -> None:
    actual = np.asarray(getattr(actual, "value", actual))
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), what
    narrow = narrow or expected.dtype in (np.float32, np.complex64)
    rtol, atol = (2e-6, 1e-6) if narrow else (1e-9, 1e-10)
    np.testing.assert_allclose(actual, expected, rtol, atol, err_msg=what)


def test_every_call_is_recorded():
    assert list(recorded()) == list(CALLS), "the table has changed: run tests/record_reference.py"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of log(0) and the like
@pytest.mark.filterwarnings("ignore:.*size_average and reduce are old")
@pytest.mark.parametrize("call", CALLS)
def test_as_recorded(call):
    name, args, options = CALLS[call]
    inputs, results, gradients = recorded()[call]
    make = lambda a, wanted: ag.tensor(a, requires_grad=wanted)
    pull = lambda total, xs: ag.gradient(total, xs, allow_unused=True)
    ys, gs = answer(OURS, make, pull, name, args, options, inputs)
    narrow = name in SINGLE or options.get("dtype") == "float32"
    assert len(ys) == len(results) and len(gs) == len(gradients)
    for k, (y, expected) in enumerate(zip(ys, results)):
        same(y, expected, f"result {k}")
    for k, (g, expected) in enumerate(zip(gs, gradients)):
        same(np.zeros_like(expected) if g is None else g, expected, f"gradient {k}", narrow)


def test_what_is_refused_is_in_the_table():
    assert {name for name, _ in REFUSED} <= {name for name, _, _ in CALLS.values()}
