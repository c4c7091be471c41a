"""Every layer and every loss in a compiled training step: after twenty steps what running them gives."""

import itertools
import warnings

import layers
import numpy as np
import pytest
from layers import converted, layer_of, tensors

import autograd_core as ag
import optim
from autograd_core import CaptureError, compile
from autograd_core.compiled import passes

BY_DATA = {"AdaptiveLogSoftmaxWithLoss"}  # one line of it decides by what parameters that are trained make of the input
FRACTIONAL = {"FractionalMaxPool2d", "FractionalMaxPool3d"}  # whose lines put draws of their own into the layer
STEPS = 20
LARGER = "Conv", "Norm", "Pool", "Embedding", "RNN", "LSTM", "GRU", "Attention", "Transformer", "Dropout", "Linear"


def chosen():
    """The first line of each layer, and the last of those that kernels are made for."""
    seen = {}
    for case in layers.cases():
        if "train" in case.modes and not case.name.startswith("Lazy") and case.name not in FRACTIONAL:
            seen.setdefault(case.name, []).append(case)
    both = lambda cases: {str(c): c for c in (cases[0], cases[-1])}.values()
    return [c for n, cases in seen.items() for c in (both(cases) if any(k in n for k in LARGER) else cases[:1])]


class Training:
    """A layer in a step that takes what it is called on."""

    def __init__(self, nn, case, values):
        ag.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.layer = layer_of(nn, case).to("float32").train()
        self.case, self.values = case, values
        parameters = [p for p in self.layer.parameters() if p.requires_grad]
        self.optimizer = optim.SGD(parameters, lr=1e-3, momentum=0.9) if parameters else None

    def __call__(self, *xs):
        given = iter(xs)
        *args, named = [*self.values, {}] if not self.values or not isinstance(self.values[-1], dict) else self.values
        taken = lambda tree: converted(tree, lambda v: next(given) if isinstance(v, np.ndarray) else v)
        outputs = tensors(self.case.call(self.layer, *map(taken, args), **{k: taken(v) for k, v in named.items()}))
        wanted = [(y * y).mean() for y in outputs if y.requires_grad]
        if self.optimizer:
            self.optimizer.zero_grad()
        if wanted:
            sum(wanted[1:], wanted[0]).backward()
        if self.optimizer:
            self.optimizer.step()
        return [y.detach() for y in outputs]

    def state(self):
        """Parameters, their gradients, buffers."""
        found = [t for t in self.layer.state_dict().values() if t is not None]
        return found + [p.grad for p in self.layer.parameters() if p.grad is not None]


def tensor_of(value):
    wanted = value.dtype.kind in "fc" and not isinstance(value, layers.Fixed)
    return ag.tensor(np.array(value), requires_grad=wanted)


def arrays_of(values):
    found = []
    converted(values, lambda v: found.append(v) if isinstance(v, np.ndarray) else None)
    return found


def close(actual, expected):
    a, b = (np.asarray(t.detach().numpy() if isinstance(t, ag.Tensor) else t) for t in (actual, expected))
    assert a.shape == b.shape and a.dtype == b.dtype
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=1)) if b.dtype.kind == "f" else 0
    np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6 * scale)


@pytest.fixture(autouse=True)
def without_loops(monkeypatch):
    """To compile a loop for everything would take long; other files have loops."""
    monkeypatch.setattr(passes, "PASSES", [p for p in passes.PASSES if p is not passes.fused])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", chosen(), ids=str)
def test_training_a_layer(case):
    import nn

    values = case.inputs(layers.Draw(np.random.default_rng(7), np.dtype("float32")))
    one, two = Training(nn, case, values), Training(nn, case, values)
    fast = compile(two.__call__)
    two.layer.load_state_dict(one.layer.state_dict())
    arrays = arrays_of(values)
    ag.manual_seed(1)
    expected = [(xs := list(map(tensor_of, arrays)), one(*xs)) for _ in range(STEPS)]
    ag.manual_seed(1)
    try:
        for k, (xs, outputs) in enumerate(expected):
            given = list(map(tensor_of, arrays))
            for y, z in itertools.zip_longest(fast(*given), outputs):
                close(y, z)
            for x, z in zip(given, xs):
                assert (x.grad is None) == (z.grad is None), f"step {k}"
                if x.grad is not None:
                    close(x.grad, z.grad)
    except CaptureError as error:
        assert case.name in BY_DATA and "a value leaves the tensors" in str(error), error
        return
    assert fast.cache_info().replays >= STEPS - 4
    for a, b in zip(two.state(), one.state()):
        close(a, b)
