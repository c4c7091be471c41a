"""Layers without PyTorch: what its layers gave when they were recorded, second gradients, and what is drawn."""

import functools

import layers
import numpy as np
import pytest
import record_layers as record
from layers import layer_of, run

import autograd_core as ag
import nn

CALLS = {label: (case, mode) for label, case, mode in record.calls()}


@functools.cache
def recorded():
    """By the label of a call, the names of the state and the arrays of each part."""
    with np.load(record.FILE, allow_pickle=False) as file:
        labels, names = file["calls"].tolist(), file["names"].tolist()
        return dict(zip(labels, zip(names, record.unpacked(file)), strict=True))


def tensor(value):
    return ag.tensor(value, requires_grad=value.dtype.kind == "f") if isinstance(value, np.ndarray) else value


def test_every_call_is_recorded():
    """A layer may have lines that were not recorded yet, but none has changed."""
    assert set(recorded()) <= set(CALLS), "the first lines of a layer have changed: run tests/record_layers.py"
    assert len(recorded()) > 300


@pytest.mark.parametrize("label", recorded())
def test_as_recorded(label):
    case, mode = CALLS[label]
    names, (inputs, state, results, *gradients, buffers) = recorded()[label]
    layer, values = layer_of(nn, case).double(), record.replaced(record.inputs_of(case), inputs)
    if "Lazy" in case.name:
        run(layer, case, values, tensor)
        layer.zero_grad()
        getattr(layer, "reset_running_stats", lambda: None)()
    own = layer.state_dict()
    assert " ".join(own) == names
    assert [t.shape for t in own.values()] == [a.shape for a in state]
    for name, a in zip(own, state):
        if a.size and np.ptp(a) == 0:
            np.testing.assert_allclose(own[name].numpy(), a, rtol=1e-3, err_msg=f"{name} at first")
    layer.load_state_dict(dict(zip(own, state)))
    layer.train(mode == "train")
    ys, dxs, dws, after = record.answer(layer, case, values, tensor, ag.tensor)
    same(ys, results, "result")
    same(dxs, gradients[0], "gradient of input")
    same(dws, gradients[1], "gradient of parameter")
    same(after, buffers, "buffer afterwards")


def same(ours, theirs, what):
    assert len(ours) == len(theirs), what
    for k, (t, b) in enumerate(zip(ours, theirs)):
        a = np.zeros(b.shape) if t is None else t.detach().numpy()
        b = np.zeros(a.shape) if b.shape == record.NONE.shape else b  # no gradient is as good as zeros
        assert a.shape == b.shape, f"{what} {k}"
        scale = max(1.0, float(np.abs(b).max())) if b.size else 1.0
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * scale, err_msg=f"{what} {k}")


# --- second gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", CALLS)
def test_second_gradients(label):
    """Differences of the first gradients, by inputs and parameters, along random directions."""
    case, mode = CALLS[label]
    values = case.inputs(layers.Draw(np.random.default_rng(5), np.dtype("float64")))
    ag.manual_seed(3)
    layer = layer_of(nn, case).double()
    run(layer, case, values, tensor)  # which tells a lazy layer its sizes
    layer.train(mode == "train")
    drawn = [(path, name, p) for path, m in layer.named_modules() for name, p in m.held(nn.Parameter)]
    floats = [a for a in record.arrays_in(values) if a.dtype.kind == "f"]
    starts = [*map(tensor, floats), *(ag.tensor(p.detach().numpy().copy(), requires_grad=True) for *_, p in drawn)]

    def f(*xs):
        for (path, name, _), x in zip(drawn, xs[len(floats) :]):
            setattr(layer.get_submodule(path), name, x)
        given = iter(xs)
        take = lambda v: (next(given) if v.dtype.kind == "f" else ag.tensor(v)) if isinstance(v, np.ndarray) else v
        return [y for y in run(layer, case, values, take)[1] if y.requires_grad]

    if starts and all(t.numel() for t in starts) and f(*starts):
        assert ag.gradgradcheck(f, starts, fast_mode=True, atol=1e-5, rtol=1e-4)
