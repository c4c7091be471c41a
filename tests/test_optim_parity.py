"""Optimizers beside PyTorch's: the same steps from the same state, over a grid of settings; state in both directions."""

import numpy as np
import pytest
from optimizers import GRID, STEPS, built, cases, closure_of, follow, gap, label, ours, problem, shadow, shared
from record_optim import RECORDED, recorded

import autograd_core as ag
import optim
from autograd_core.kernels._jit import COMPILED

CASES = list(cases())
OFTEN = [c for name in GRID for c in [c for c in CASES if c[0] == name][::5]]
marked = [
    pytest.param(*c, id=label(*c), marks=[] if c in OFTEN else pytest.mark.slow) for c in CASES if c[0] != "LBFGS"
]


@pytest.fixture(params=["float64", "float32"])
def beside(request, monkeypatch):
    """torch, in the type of the test; its Muon in full precision instead of two digits."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, request.param))
    yield torch, np.dtype(request.param)
    torch.set_default_dtype(before)


def leaves(torch, arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


def arrays_of(params):
    return [p.detach().numpy() for p in params]


def tensor_of(torch, name):
    """What makes the gradients of theirs."""
    return (lambda a: torch.tensor(a).to_sparse(1)) if name == "SparseAdam" else torch.tensor


@pytest.mark.parametrize(("name", "options"), marked)
def test_steps_are_pytorchs(beside, name, options):
    torch, dtype = beside
    arrays, x, y = problem(name, dtype)
    params, theirs = ours(arrays), leaves(torch, arrays)
    other = built(name, options, torch.optim, theirs)
    follow(built(name, options, optim, params), params, x, y, STEPS, [(other.step, theirs, tensor_of(torch, name))])
    cancels = options.get("centered") and not COMPILED  # each in float32 is 5e-3 from float64; NumPy rounds otherwise
    assert gap(arrays_of(params), arrays_of(theirs)) < (1e-12 if dtype == np.float64 else 1e-5 if cancels else 1e-6)


@pytest.mark.parametrize(("name", "options"), [pytest.param(*c, id=label(*c)) for c in CASES if c[0] == "LBFGS"])
def test_lbfgs_goes_where_pytorchs_goes(beside, name, options):
    torch, dtype = beside
    arrays, x, y = problem(name, dtype)
    params, theirs = ours(arrays), leaves(torch, arrays)
    pairs = [
        (built(name, options, optim, params), closure_of(params, ag.tensor(x), ag.tensor(y))),
        (built(name, options, torch.optim, theirs), closure_of(theirs, torch.tensor(x), torch.tensor(y))),
    ]
    for _ in range(5):
        losses = [float(optimizer.step(closure).detach()) for optimizer, closure in pairs]
    assert gap(arrays_of(params), arrays_of(theirs)) < (1e-11 if dtype == np.float64 else 1e-2)
    np.testing.assert_allclose(*losses, rtol=1e-12 if dtype == np.float64 else 1e-3)


def test_every_optimizer_of_pytorch_is_here():
    torch = pytest.importorskip("torch")
    missing = shared(torch.optim) - set(GRID)
    assert not missing, f"no case for {missing}"
    modules = ("lr_scheduler", torch.optim.lr_scheduler), ("swa_utils", torch.optim.swa_utils)
    for module, theirs in modules:
        assert not [n for n in theirs.__all__ if not hasattr(getattr(optim, module), n)]


@pytest.mark.parametrize("name", sorted(GRID))
def test_signatures_are_pytorchs(name):
    import inspect

    torch = pytest.importorskip("torch")
    mine, theirs = (inspect.signature(getattr(o, name)).parameters for o in (optim, torch.optim))
    assert [(p.name, p.default, p.kind) for p in mine.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


def to_torch(torch, value):
    if isinstance(value, dict):
        return {k: to_torch(torch, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_torch(torch, v) for v in value)
    return torch.tensor(value.value) if isinstance(value, ag.Tensor) else value


@pytest.mark.parametrize(("name", "options"), [pytest.param(*c, id=label(*c)) for c in OFTEN if c[0] != "LBFGS"])
def test_state_goes_both_ways(beside, name, options):
    torch, dtype = beside
    arrays, x, y = problem(name, dtype)
    params, theirs = ours(arrays), leaves(torch, arrays)
    mine, other = built(name, options, optim, params), built(name, options, torch.optim, theirs)
    tensor = tensor_of(torch, name)
    follow(mine, params, x, y, 7, [(other.step, theirs, tensor)])
    here, there = mine.state_dict(), other.state_dict()
    assert {k: set(v) for k, v in here["state"].items()} == {k: set(v) for k, v in there["state"].items()}
    assert here["param_groups"] == there["param_groups"]
    p2, t2 = ours(arrays_of(theirs)), leaves(torch, arrays_of(params))
    crossed, back = built(name, {}, optim, p2), built(name, {}, torch.optim, t2)
    crossed.load_state_dict(there)
    back.load_state_dict(to_torch(torch, here))
    others = [(other.step, theirs, tensor), (crossed.step, p2, ag.tensor), (back.step, t2, tensor)]
    follow(mine, params, x, y, 20, others)
    close = 1e-12 if dtype == np.float64 else 3e-6
    for found in (p2, t2):
        assert gap(arrays_of(found), arrays_of(theirs)) < close


def test_lbfgs_goes_on_from_pytorchs_state():
    torch = pytest.importorskip("torch")
    arrays, x, y = problem("LBFGS", np.float64)
    theirs = leaves(torch, arrays)
    other = torch.optim.LBFGS(theirs, max_iter=4, line_search_fn="strong_wolfe")
    other.step(closure_of(theirs, torch.tensor(x), torch.tensor(y)))
    params = ours(arrays_of(theirs))
    mine = optim.LBFGS(params)
    mine.load_state_dict(other.state_dict())
    for _ in range(2):
        mine.step(closure_of(params, ag.tensor(x), ag.tensor(y)))
        other.step(closure_of(theirs, torch.tensor(x), torch.tensor(y)))
    assert gap(arrays_of(params), arrays_of(theirs)) < 1e-10


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_steps_are_those_that_were_recorded(name):
    wanted = recorded()
    for case in [c for c in CASES if c[0] == name]:
        arrays, x, y = problem(name, np.float64)
        params = ours(arrays)
        follow(built(*case, optim, params), params, x, y, 20)
        np.testing.assert_allclose(shadow(arrays_of(params)), wanted[label(*case)], rtol=1e-11, atol=1e-12)


def test_repr_is_pytorchs():
    torch = pytest.importorskip("torch")
    mine = optim.AdamW([{"params": ours([np.ones(2)])}, {"params": ours([np.ones(2)]), "lr": 0.5}])
    theirs = torch.optim.AdamW(
        [{"params": leaves(torch, [np.ones(2)])}, {"params": leaves(torch, [np.ones(2)]), "lr": 0.5}]
    )
    assert repr(mine) == repr(theirs)


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]
)
def test_complex_parameters_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    arrays = [draw(30, 4), draw(3)]
    params, theirs = ours(arrays), leaves(torch, arrays)
    params[0] = ag.from_numpy(np.ascontiguousarray(arrays[0].T).T).requires_grad_()  # no rows in order
    mine, other = (getattr(o, name)(p, lr=0.01) for o, p in ((optim, params), (torch.optim, theirs)))
    for _ in range(5):
        for p, q, a in zip(params, theirs, arrays):
            g = draw(*a.shape)
            p.grad, q.grad = ag.tensor(g), torch.tensor(g)
        mine.step()
        other.step()
    assert gap(arrays_of(params), arrays_of(theirs)) < 1e-7  # mu_product and eta are float32 there
