"""Every layer beside PyTorch's: the same state under the same names, the same numbers, the same gradients."""

import inspect
import typing
from collections import Counter

import layers
import numpy as np
import pytest
from layers import layer_of, run

import autograd_core as ag
import nn

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),  # what PyTorch says of its own calls
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]

CASES = layers.cases()
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def ours_of(value):
    """An array as a tensor of ours that wants gradients if it can have them."""
    return ag.tensor(np.asarray(value), requires_grad=asked(value)) if isinstance(value, np.ndarray) else value


def theirs_of(value):
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(np.array(value)).requires_grad_(asked(value))


def asked(value):
    """Whether the gradient of an input is compared."""
    return value.dtype.kind in "fc" and not isinstance(value, layers.Fixed)


def array(t):
    if t is None:
        return None
    return (t.to_dense() if getattr(t, "is_sparse", False) else t).detach().numpy()


def close(ours, theirs, rtol, what):
    """Whether two arrays agree to rtol of the largest entry."""
    if theirs is None or ours is None:
        zero = lambda a: a is None or not np.any(array(a))
        assert zero(ours) and zero(theirs), f"{what}: one has a gradient, the other has none"
        return
    a, b = array(ours), array(theirs)
    assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.shape} {a.dtype}, PyTorch {b.shape} {b.dtype}"
    finite = b[np.isfinite(b)]
    scale = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=what)


def walked(outputs, seeds):
    """Backward from all results that have gradients, with random weights."""
    pairs = [(y, s) for y, s in zip(outputs, seeds) if y.requires_grad]
    for y, s in pairs:
        y.backward(type(y.detach())(s) if isinstance(y, ag.Tensor) else torch.from_numpy(s), retain_graph=True)


def typed():
    """The first line of each layer in both types, the others in one or the other, in an order without a period."""
    turns = Counter()
    for case in CASES:
        turn = turns[case.name]
        turns[case.name] += 1
        chosen = list(TOLERANCE) if turn == 0 else [list(TOLERANCE)[turn.bit_count() % 2]]
        yield from (pytest.param(case, dtype, id=f"{case}-{dtype}") for dtype in chosen)


@pytest.mark.parametrize("case, dtype", list(typed()))
def test_as_pytorch(case, dtype):
    for seed, mode in enumerate(case.modes):
        rng = np.random.default_rng([seed, 7])
        values = case.inputs(layers.Draw(rng, np.dtype(dtype)))
        torch.manual_seed(0)
        ag.manual_seed(0)
        theirs, ours = layer_of(torch.nn, case), layer_of(nn, case)
        theirs, ours = theirs.to(getattr(torch, dtype)), ours.to(dtype)
        if "Lazy" in case.name:
            run(theirs, case, values, theirs_of), run(ours, case, values, ours_of)
        same_state(ours, theirs)
        ours.load_state_dict(theirs.state_dict())
        ours.train(mode == "train"), theirs.train(mode == "train")
        inputs, outputs = run(ours, case, values, ours_of)
        their_inputs, their_outputs = run(theirs, case, values, theirs_of)
        rtol = TOLERANCE[dtype] * case.tolerance
        assert len(outputs) == len(their_outputs)
        for k, (y, z) in enumerate(zip(outputs, their_outputs)):
            close(y, z, rtol, f"{mode}: output {k}")
        seeds = [rng.standard_normal(y.shape).astype(y.dtype) for y in map(array, outputs)]
        walked(outputs, seeds), walked(their_outputs, seeds)
        for k, (x, z) in enumerate(zip(inputs, their_inputs)):
            close(x.grad, z.grad, rtol, f"{mode}: gradient of input {k}")
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters()):
            close(p.grad, q.grad, rtol, f"{mode}: gradient of {name}")
            close(p, q, rtol, f"{mode}: {name} afterwards")
        for (name, b), c in zip(ours.named_buffers(), theirs.buffers()):
            close(b, c, rtol, f"{mode}: {name} afterwards")


def same_state(ours, theirs):
    """Names in order, shapes, types, and which need gradients."""
    told = lambda m: [(n, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for n, t in m.state_dict().items()]
    assert told(ours) == told(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in theirs.parameters()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert repr(ours) == repr(theirs)


def parameters_of(layer):
    """What a constructor takes, in the first form that is declared; one that is not defined takes nothing."""
    if layer.__init__ in (object.__init__, torch.nn.Module.__init__):
        return []
    declared = typing.get_overloads(layer.__init__)
    return list(inspect.signature(declared[0] if declared else layer.__init__).parameters.values())[1:]


@pytest.mark.parametrize("name", sorted({c.name for c in CASES}))
def test_the_constructor_takes_what_pytorch_takes(name):
    ours, theirs = parameters_of(getattr(nn, name)), parameters_of(getattr(torch.nn, name))
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs]
    plain = lambda p: p.default if isinstance(p.default, (int, float, str, bool, type(None))) else "other"
    assert [plain(p) for p in ours if p.name != "dtype"] == [plain(p) for p in theirs if p.name != "dtype"]


@pytest.mark.parametrize("name", sorted({c.name for c in CASES}))
def test_new_parameters_are_drawn_from_the_same_distributions(name):
    """Means, deviations and extremes of parameters of many equal layers, and exactly what is constant."""
    case = next(c for c in CASES if c.name == name)
    values = case.inputs(layers.Draw(np.random.default_rng(0), np.dtype("float32")))
    drawn = []
    for library, convert in ((nn, ours_of), (torch.nn, theirs_of)):
        torch.manual_seed(1), ag.manual_seed(1)
        made = [layer_of(library, case) for _ in range(60)]
        if "Lazy" in name:
            [run(m, case, values, convert) for m in made]
        drawn.append({n: np.stack([array(m.state_dict()[n]) for m in made]).ravel() for n in made[0].state_dict()})
    for n, b in drawn[1].items():
        a = drawn[0][n]
        if b.size and np.ptp(b) == 0:
            assert np.ptp(a) == 0 and a[0] == b[0], n
        elif b.size:
            spread, count = b.std(), b.size
            assert abs(a.mean() - b.mean()) < 6 * spread / count**0.5 + 1e-7, n
            assert abs(a.std() / spread - 1) < 6 / count**0.5 + 0.02, n
            assert np.abs(a).max() < np.abs(b).max() * 1.5, n


def test_every_layer_has_a_line():
    public = {n for n, c in vars(torch.nn).items() if inspect.isclass(c) and issubclass(c, torch.nn.Module)}
    tested, out = {c.name for c in CASES}, set(layers.left_out())
    missing = sorted(public - tested - out)
    assert not missing, f"no line in tests/layers for {missing}"
    assert not out & tested
