"""Every layer beside PyTorch's: the same state under the same names, the same numbers, the same gradients."""

import inspect
import typing
import warnings

import layers
import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.tree import flatten

torch = pytest.importorskip("torch")

CASES = layers.cases()
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def ours_of(value):
    """An array as a tensor of ours that wants gradients if it can have them."""
    return ag.tensor(value, requires_grad=value.dtype.kind in "fc") if isinstance(value, np.ndarray) else value


def theirs_of(value):
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(value.copy()).requires_grad_(value.dtype.kind in "fc")


def tensors(tree):
    return [t for t in flatten(tree)[0] if isinstance(t, (ag.Tensor, torch.Tensor))]


def array(t):
    return None if t is None else t.detach().numpy()


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


def layer_of(library, case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of lazy modules, and of more arguments than matter
        return getattr(library, case.name)(*layers.made(case.args, library), **layers.made(case.options, library))


def run(layer, case, values, convert):
    """The inputs, and the tensors that come out."""
    *args, named = [*values, {}] if not values or not isinstance(values[-1], dict) else values
    args, named = [convert_all(a, convert) for a in args], {k: convert_all(v, convert) for k, v in named.items()}
    with warnings.catch_warnings():
        if convert is theirs_of:
            warnings.simplefilter("ignore")  # of what PyTorch does not do in the quickest way
        return tensors([args, named]), tensors(case.call(layer, *args, **named))


def convert_all(tree, convert):
    leaves, build = flatten(tree)
    return build([convert(v) for v in leaves])


def walked(outputs, seeds):
    """Backward from all results that have gradients, with random weights."""
    pairs = [(y, s) for y, s in zip(outputs, seeds) if y.requires_grad]
    for y, s in pairs:
        y.backward(type(y.detach())(s) if isinstance(y, ag.Tensor) else torch.from_numpy(s), retain_graph=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
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


def arguments_of(layer):
    """The parameters of a constructor: of the first form that is declared, if it has several."""
    if layer.__init__ in (object.__init__, torch.nn.Module.__init__):
        return []  # it takes nothing, whatever it says of itself
    declared = typing.get_overloads(layer.__init__)
    signature = inspect.signature(declared[0] if declared else layer.__init__)
    return list(signature.parameters.values())[1:]


@pytest.mark.parametrize("name", sorted({c.name for c in CASES}))
def test_the_constructor_takes_what_pytorch_takes(name):
    ours, theirs = (arguments_of(getattr(m, name)) for m in (nn, torch.nn))
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
