"""What optimizers promise beyond their rules: what they take and refuse, what they leave alone, what they cost."""

import collections
import copy
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
from optimizers import GRID, closure_of, follow, ours, problem

import autograd_core as ag
import optim
from autograd_core import tape
from autograd_core.kernels import together
from autograd_core.kernels._jit import COMPILED
from optim import layout
from optim import lr_scheduler as rates
from optim.line_search import Point, Search

EXTRA = "Lion", "LAMB", "LARS"
STEPPED = [n for n in GRID if n != "LBFGS"] + list(EXTRA)


def leaf(*shape, dtype=np.float64, seed=0, grad=True):
    p = ag.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), requires_grad=True)
    p.grad = ag.tensor(np.random.default_rng(seed + 1).standard_normal(shape).astype(dtype)) if grad else None
    return p


def pair(name):
    """A large and a small parameter, and an optimizer of them."""
    params = [leaf(30, 20), leaf(4, 5, seed=3)]
    return params, getattr(optim, name)(params)


# --- closed forms of what PyTorch does not have ----------------------------------------------------------------------


def test_lamb_is_adam_scaled_to_the_parameter():
    p = leaf(10, 10)
    w, m, v = p.detach().numpy().copy(), 0, 0
    o = optim.LAMB([p], lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.05)
    for t in range(1, 6):
        g = np.random.default_rng(t).standard_normal((10, 10))
        p.grad = ag.tensor(g)
        o.step()
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        u = (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3) + 0.05 * w
        w = w - 0.1 * np.linalg.norm(w) / np.linalg.norm(u) * u
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-12)


def test_lars_has_a_rate_for_each_parameter():
    p = leaf(10, 10)
    w, b = p.detach().numpy().copy(), 0
    o = optim.LARS([p], lr=0.5, momentum=0.9, weight_decay=0.01, trust_coefficient=0.02)
    for t in range(5):
        g = np.random.default_rng(t).standard_normal((10, 10))
        p.grad = ag.tensor(g)
        o.step()
        local = 0.02 * np.linalg.norm(w) / (np.linalg.norm(g) + 0.01 * np.linalg.norm(w) + 1e-8)
        b = 0.9 * b + local * (g + 0.01 * w)
        w = w - 0.5 * b
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-12)


def test_parameters_that_are_zero_are_still_changed_by_lamb_and_lars():
    for name in "LAMB", "LARS":
        p = ag.tensor(np.zeros(70), requires_grad=True)
        p.grad = ag.tensor(np.ones(70))
        getattr(optim, name)([p]).step()
        assert (p.detach().numpy() < 0).all()


def test_muon_steps_in_all_directions_alike():
    p = leaf(8, 5)
    before = p.detach().numpy().copy()
    optim.Muon([p], lr=1.0, weight_decay=0, ns_steps=30, ns_coefficients=(1.5, -0.5, 0.0)).step()
    step = (before - p.detach().numpy()) / np.sqrt(8 / 5)
    np.testing.assert_allclose(np.linalg.svd(step)[1], np.ones(5), rtol=1e-6)


def test_equilibration_evens_out_a_narrow_valley():
    scales = np.array([1.0, 1e4])
    p = ag.tensor(np.array([1.0, 1.0]), requires_grad=True)
    o = optim.EquilibratedSGD([p], lr=0.5, every=1, generator=ag.Generator().manual_seed(3))
    for _ in range(60):
        o.step(lambda: 0.5 * (ag.tensor(scales) * p * p).sum())
    assert np.abs(p.detach().numpy()).max() < 1e-6
    curvature = np.sqrt(o.state[p]["square_sum"].numpy() / o.state[p]["products"].item())
    np.testing.assert_allclose(curvature, scales, rtol=0.5)


def test_equilibration_looks_at_the_curvature_now_and_then():
    p = leaf(3)
    o = optim.EquilibratedSGD([p], every=4)
    for _ in range(9):
        o.step(lambda: (p**4).sum())
    assert o.state[p]["products"].item() == 3 and o.state[p]["step"].item() == 9
    with pytest.raises(TypeError, match="needs a function that returns the loss"):
        o.step()


def test_noise_falls_as_a_power_of_the_step():
    p = ag.tensor(np.zeros(40_000), requires_grad=True)
    o = optim.SGD([p], lr=1.0)
    noise = optim.GradientNoise(o, eta=0.04, gamma=0.5, generator=ag.Generator().manual_seed(0))
    spreads = []
    for _ in range(3):
        p.grad, before = ag.tensor(np.zeros(40_000)), p.detach().numpy().copy()
        o.step()
        spreads.append((p.detach().numpy() - before).std())
    np.testing.assert_allclose(spreads, [(0.04 / (1 + t) ** 0.5) ** 0.5 for t in range(3)], rtol=0.03)
    noise.remove()
    p.grad, before = ag.tensor(np.zeros(40_000)), p.detach().numpy().copy()
    o.step()
    assert noise.state_dict()["taken"] == 3 and np.array_equal(before, p.detach().numpy())


def test_noise_reaches_the_gradients_of_a_closure():
    p = ag.tensor(np.zeros(50), requires_grad=True)
    o = optim.SGD([p], lr=1.0)
    optim.GradientNoise(o, eta=1.0)

    def closure():
        o.zero_grad()
        loss = (p * 0.0).sum()
        loss.backward()
        return loss

    assert o.step(closure).item() == 0 and p.detach().numpy().std() > 0.5


ROWS = np.array([[0, 0, -1.0], [0, 1, -1], [1, 0, -1], [1, 1, -1]])


def test_a_perceptron_learns_what_a_line_separates():
    w, b = ag.tensor(np.zeros((2, 3))), ag.tensor(np.zeros(2))
    o = optim.Perceptron([w, b])
    targets = np.array([[0, 0], [0, 1], [0, 1], [1, 1]])
    missed = [o.step(ROWS, targets) for _ in range(12)]
    assert missed[0] > 0 and missed[-1] == 0
    assert np.array_equal(ROWS @ w.numpy().T + b.numpy() > 0, targets == 1)


def test_a_perceptron_goes_round_in_circles_on_xor():
    w = ag.tensor(np.zeros(3))
    o = optim.Perceptron([w])
    seen = [(o.step(ROWS, [0, 1, 1, 0]), w.tolist()) for _ in range(6)]
    assert len({str(s) for s in seen[2:]}) == 1 and seen[-1][0] > 0
    with pytest.raises(ValueError, match=r"needs inputs \(examples, 3\)"):
        o.step(ROWS[:, :2], [0, 1, 1, 0])


def test_nesterovs_momentum_looks_ahead():
    """The rule with the gradient at the place ahead, for a quadratic, in other variables."""
    scales = np.linspace(1, 10, 70)
    p = ag.tensor(np.ones(70), requires_grad=True)
    o = optim.SGD([p], lr=0.01, momentum=0.9, nesterov=True)
    x, u = np.ones(70), np.zeros(70)
    for _ in range(20):
        p.grad = ag.tensor(scales * p.detach().numpy())
        o.step()
        ahead = x - 0.01 * 0.9 * u
        u = 0.9 * u + scales * ahead
        x = x - 0.01 * u
        np.testing.assert_allclose(p.detach().numpy(), x - 0.01 * 0.9 * u, rtol=1e-12)


# --- what is stepped, and how ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPPED)
def test_whoever_watches_sees_ops_that_do_the_same(name):
    (a, one), (b, other) = pair(name), pair(name)
    seen = []
    for _ in range(3):
        one.step()
        with tape.using(observers=(lambda op, *rest: seen.append(op.mutates),)):
            other.step()
    assert sum("parameter" in names for names in seen) == 6
    for p, q in zip(a, b):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-13)


@pytest.mark.parametrize("name", STEPPED)
def test_memory_in_any_order_is_stepped_alike(name):
    (a, one), (b, other) = pair(name), pair(name)
    b[0].data = np.ascontiguousarray(b[0].value.T).T
    b[1].data = np.zeros((4, 10))[:, ::2] + b[1].value
    wide = np.zeros((8, 5))
    wide[::2] = b[1].value
    b[1].data = wide[::2]
    for _ in range(3):
        one.step()
        other.step()
    for p, q in zip(a, b):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12)
    assert not wide[1::2].any()


@pytest.mark.parametrize("name", STEPPED)
def test_parameters_without_gradients_stay_and_are_not_remembered(name):
    params, o = pair(name)
    still, before = params[1], params[1].detach().numpy().copy()
    still.grad = None
    o.step()
    assert np.array_equal(still.detach().numpy(), before)
    state = o.state_dict()["state"]
    assert 1 not in state or name == "Adagrad"


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "ASGD", "RAdam"])
def test_parameters_that_were_stepped_less_often_are_in_the_same_call(name):
    options = {"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}
    together = [leaf(80, seed=k) for k in range(3)]
    apart = [leaf(80, seed=k) for k in range(3)]
    one = getattr(optim, name)(together, **options)
    others = [getattr(optim, name)([p], **options) for p in apart]
    for t in range(6):
        for k in range(3):
            g = ag.tensor(np.random.default_rng(10 * t + k).standard_normal(80)) if t >= k else None
            together[k].grad, apart[k].grad = g, g
        one.step()
        for o in others:
            o.step()
    for p, q in zip(together, apart):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("size", [3, 300])
@pytest.mark.parametrize("name", [n for n in STEPPED if n not in ("LAMB", "LARS", "Adafactor", "Muon")])
def test_an_infinite_entry_stays_what_it_is(name, size):
    p = ag.tensor(np.full(size, -np.inf), requires_grad=True)
    p.grad = ag.tensor(np.ones(size))
    options = {"weight_decay": 0.0} if name in ("AdamW", "Lion") else {"lambd": 0} if name == "ASGD" else {}
    o = getattr(optim, name)([p], **options)
    o.step()
    o.step()
    assert np.isneginf(p.detach().numpy()).all()


def test_types_mix_in_a_group():
    params = [leaf(80), leaf(80, dtype=np.float32), leaf(3), leaf(90, dtype=np.float16), leaf(0)]
    before = [p.detach().numpy().copy() for p in params]
    optim.Adam(params, lr=0.1).step()
    for p, b in zip(params, before):
        assert p.dtype == b.dtype
        half = p.dtype == np.float16  # in which the squares of small gradients are 0
        far = np.abs(p.grad.numpy()) > (0.3 if half else 0)
        np.testing.assert_allclose(
            p.detach().numpy()[far], (b - 0.1 * np.sign(p.grad.numpy()))[far], atol=1e-2 if half else 1e-4
        )


def test_groups_have_settings_of_their_own():
    a, b, c = leaf(80), leaf(80), leaf(80)
    o = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.1)
    o.add_param_group({"params": [c], "lr": 0.0})
    before = [p.detach().numpy().copy() for p in (a, b, c)]
    o.step()
    for p, x, lr in zip((a, b, c), before, (0.1, 0.5, 0.0)):
        np.testing.assert_allclose(p.detach().numpy(), x - lr * p.grad.numpy(), rtol=1e-14)


def test_a_rate_can_be_a_tensor_or_change():
    p, q = leaf(80), leaf(80)
    lr = ag.tensor(0.1)
    a, b = optim.Adam([p], lr=lr), optim.Adam([q], lr=0.1)
    for rate in 0.1, 0.05, 0.2:
        lr.fill_(rate)
        b.param_groups[0]["lr"] = rate
        a.step()
        b.step()
    np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=1e-7)


def test_several_optimizers_share_a_model():
    arrays, x, y = problem("", np.float64)
    params = ours(arrays)
    first, second = optim.Adam(params[:2]), optim.SGD(params[2:])
    closure = closure_of(params, ag.tensor(x), ag.tensor(y))
    start = closure().item()
    for _ in range(50):
        closure()
        first.step()
        second.step()
    assert closure().item() < start
    assert len(first.state) == 2 and not second.state


def test_a_closure_is_called_and_its_loss_returned():
    p = leaf(80, grad=False)
    o = optim.SGD([p], lr=0.1)

    def closure():
        o.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with ag.no_grad():
        first = o.step(closure)
    assert o.step(closure).item() < first.item()


def test_a_backward_that_needs_what_a_step_overwrote_refuses():
    p = leaf(80)
    y = (p * p).sum()
    version = p._version
    optim.Adam([p]).step()
    assert p._version == version + 1
    with pytest.raises(RuntimeError, match="changed|overwritten|written"):
        y.backward()


def test_state_that_the_user_changes_is_used():
    p, q = leaf(80), leaf(80)
    a, b = optim.Adam([p]), optim.Adam([q])
    for o in a, b:
        o.step()
        o.step()
    a.state[p]["exp_avg"] = ag.tensor(np.zeros(80))
    b.state[q]["exp_avg"].zero_()
    a.state[p]["step"] = ag.tensor(7.0)
    b.state[q]["step"].fill_(7.0)
    for o in a, b:
        o.step()
    np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
    assert a.state[p]["step"].item() == 8


@pytest.mark.parametrize("kind", [dict, lambda: collections.defaultdict(dict)])
@pytest.mark.parametrize("size", [3, 300])
@pytest.mark.parametrize("name", [*STEPPED, "LBFGS"])
def test_a_state_that_is_exchanged_starts_anew(name, size, kind):
    shape = (size, 2) if name == "Muon" else (size,)
    p, q = leaf(*shape), leaf(*shape)
    closure = lambda t: lambda: (t * t.grad.detach()).sum()
    args = lambda t: (closure(t),) if name == "LBFGS" else ()
    old = getattr(optim, name)([p])
    old.step(*args(p))
    p.data = q.detach().numpy().copy()
    old.state = kind()
    fresh = getattr(optim, name)([q])
    for _ in range(3):
        old.step(*args(p))
        fresh.step(*args(q))
    np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
    a, b = old.state_dict()["state"], fresh.state_dict()["state"]
    assert {k: set(v) for k, v in a.items()} == {k: set(v) for k, v in b.items()}
    if name != "LBFGS":
        assert all(np.array_equal(a[k][n].numpy(), b[k][n].numpy()) for k in b for n in b[k])


def test_data_that_is_exchanged_is_stepped():
    p = leaf(80)
    o = optim.SGD([p], lr=1.0)
    o.step()
    p.data = np.zeros(80)
    o.step()
    np.testing.assert_array_equal(p.detach().numpy(), -p.grad.numpy())


@pytest.mark.parametrize("name", STEPPED)
def test_copies_and_pickles_go_on_alike(name):
    params, o = pair(name)
    o.step()
    for made in copy.deepcopy((params, o)), pickle.loads(pickle.dumps((params, o))):
        fresh, other = made
        for p, q in zip(params, fresh):
            q.grad = ag.tensor(p.grad.numpy())
        before = [p.detach().numpy().copy() for p in params]
        other.step()
        assert all(np.array_equal(p.detach().numpy(), b) for p, b in zip(params, before))
        state = {k: v.detach().numpy().copy() for k, v in o.state[params[0]].items()}
        twin, mirror = copy.deepcopy((params, o))
        for p, q in zip(params, twin):
            q.grad = ag.tensor(p.grad.numpy())
        mirror.step()
        for p, q in zip(fresh, twin):
            np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
        assert all(np.array_equal(v.detach().numpy(), state[k]) for k, v in o.state[params[0]].items())


@pytest.mark.parametrize("name", STEPPED)
def test_groups_and_parameters_without_entries_are_stepped(name):
    getattr(optim, name)([{"params": []}]).step()
    p, q = leaf(0, 3), leaf(4, 5)
    before = q.detach().numpy().copy()
    getattr(optim, name)([{"params": [p]}, {"params": []}, {"params": [q]}]).step()
    assert p.shape == (0, 3) and not np.array_equal(q.detach().numpy(), before)


# --- several at once -------------------------------------------------------------------------------------------------


def test_a_loss_from_before_the_step_of_another_player_is_refused():
    x, y = leaf(3), leaf(3, seed=5)
    players = optim.SGD([x], lr=0.1), optim.SGD([y], lr=0.1)
    losses = (x * y).sum(), -(x * y).sum()
    losses[0].backward(inputs=players[0].parameters())
    players[0].step()
    before = y.grad.numpy().copy()
    with pytest.raises(RuntimeError, match="changed in place since it was recorded"):
        losses[1].backward(inputs=players[1].parameters())
    np.testing.assert_array_equal(y.grad.numpy(), before)


# --- what it costs ---------------------------------------------------------------------------------------------------

KEPT = 20_000  # bytes, of which other threads of the process that runs the tests take some; a parameter has 240,000


def memory_taken(step):
    """What five calls leave behind, and what they take meanwhile, in bytes."""
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(5):
            step()
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return now - before, peak - before


def laid(a, how):
    """The same numbers in memory of another layout: in C's order, in Fortran's, or with gaps between them."""
    if how != "apart":
        return np.array(a, order=how)
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    apart = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    apart[...] = a
    return apart


def laid_leaves(how, gradients, *shape):
    """Three parameters whose memory, and that of their gradients, is laid out so."""
    params = [leaf(*shape, seed=k) for k in range(3)]
    for p in params:
        p.data = given = laid(p.value, how)
        p.leaf.grad.value = laid(p.grad.value, gradients)
        assert p.value is given
    return params


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (60_000,)])
def test_no_step_after_the_first_takes_memory(name, shape):
    if name == "Muon" and len(shape) != 2:
        pytest.skip("takes matrices only")
    params = [leaf(*shape, seed=k) for k in range(3)]
    o = getattr(optim, name)(params)
    for _ in range(3):
        o.step()
    kept, meanwhile = memory_taken(o.step)
    assert kept < KEPT and (meanwhile < 50_000 or not COMPILED)  # NumPy has no way to do without


LAYOUTS = [("C", "F"), ("F", "F"), ("F", "C"), ("apart", "C"), ("apart", "apart")]


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize(("how", "gradients"), LAYOUTS)
def test_nor_does_one_where_memory_lies_otherwise(name, how, gradients):
    o = getattr(optim, name)(laid_leaves(how, gradients, 300, 200))
    for _ in range(3):
        o.step()
    kept, meanwhile = memory_taken(o.step)
    assert kept < KEPT and (meanwhile < 50_000 or not COMPILED)  # NumPy has no way to do without


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize(("how", "gradients"), LAYOUTS)
def test_memory_of_any_layout_gives_the_same_bits(name, how, gradients):
    usual, params = laid_leaves("C", "C", 30, 20), laid_leaves(how, gradients, 30, 20)
    one, other = getattr(optim, name)(usual), getattr(optim, name)(params)
    for _ in range(3):
        one.step()
        other.step()
    other.load_state_dict(one.state_dict())  # which lies in C's order
    one.step()
    other.step()
    for p, q in zip(usual, params):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
        for key, held in one.state[p].items():
            np.testing.assert_array_equal(held.detach().numpy(), other.state[q][key].detach().numpy())


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_no_step_of_lbfgs_takes_memory_once_its_history_is_full(search):
    p = leaf(300, 200)
    curvatures = np.geomspace(1, 1e4, p.numel()).reshape(p.shape)

    def closure():
        np.multiply(curvatures, p.value, out=p.grad.value)
        return float(np.vdot(p.grad.value, p.value)) / 2

    o = optim.LBFGS([p], 0.1, 4, 99, history_size=3, line_search_fn=search, tolerance_change=0)
    for _ in range(3):
        o.step(closure)
    iterations = o.state[p]["n_iter"]
    kept, meanwhile = memory_taken(lambda: o.step(closure))
    assert o.state[p]["n_iter"] == iterations + 24
    assert kept < KEPT and meanwhile < 50_000


@pytest.mark.parametrize("wave", np.linspace(0.5, 40, 30))
def test_every_point_of_a_search_keeps_the_gradient_that_was_found_there(wave):
    slope = lambda t: -1 + 0.02 * t + wave * np.sin(wave * t)
    value = lambda t: -t + 0.01 * t * t - np.cos(wave * t)
    rows = [np.empty(1) for _ in range(Search.HELD)]

    class Watched(Search):
        def at(self, t, *held):
            assert all(p.gradient[0] == slope(p.t) for p in (self.start, *held))
            return super().at(t, *held)

    def evaluate(t, row):
        row[0] = slope(t)
        return value(t), row

    for first in 0.01, 1.0, 7.0:
        rows[2][0] = slope(0)
        start = Point(0.0, value(0), rows[2], slope(0))
        found = Watched(evaluate, np.ones(1), start, 25, 1e-12, rows).run(first)
        assert found.gradient[0] == slope(found.t) and found.value < value(0)


@pytest.mark.parametrize("name", STEPPED)
def test_gradients_are_let_go_after_a_step(name):
    params, o = pair(name)
    o.step()
    held = [weakref.ref(p.grad.value) for p in params]
    o.zero_grad()
    assert not any(a() is not None for a in held)


def test_gradients_of_any_layout_and_class_are_taken():
    a, b = [leaf(30, 20), leaf(1, 50), leaf(4)], [leaf(30, 20), leaf(1, 50), leaf(4)]
    one, other = optim.Adam(a), optim.Adam(b)
    wide = np.zeros((3, 50))
    wide[::2] = b[1].grad.numpy()
    for _ in range(3):
        b[0].leaf.grad.value = np.asfortranarray(a[0].grad.numpy())
        b[1].leaf.grad.value = wide[:1]
        b[2].leaf.grad.value = a[2].grad.numpy().view(np.memmap)
        one.step()
        other.step()
    for p, q in zip(a, b):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_remembered_never_becomes_subnormal(name, dtype):
    params = [leaf(10, 10, dtype=dtype)] + [leaf(100, dtype=dtype)] * (name != "Muon")
    options = {"betas": (0.5, 0.6), "momentum": 0.5, "alpha": 0.6, "rho": 0.6, "beta2_decay": -0.05}
    o = getattr(optim, name)(params)
    for group in o.param_groups:
        group |= {n: v for n, v in options.items() if n in group}
    o.step()
    for p in params:
        p.grad = ag.tensor(np.zeros(p.shape, dtype))
    tiny = np.finfo(dtype).tiny
    for _ in range(2200 if dtype == np.float64 else 300):
        o.step()
        for value in (v for p in params for v in o.state[p].values()):
            a = np.abs(value.detach().numpy())
            assert ((a == 0) | (a >= tiny)).all()


# --- what is refused -------------------------------------------------------------------------------------------------

P = leaf(3)
BAD = {
    r"SGD: expected several parameters, got one Tensor": lambda: optim.SGD(P),
    r"SGD: expected parameters, like model\.parameters\(\), got int 3": lambda: optim.SGD(3),
    r"Adam: the list of parameters is empty": lambda: optim.Adam(iter([])),
    r"parameters come in an order, which a set has not": lambda: optim.Adam({P}),
    r"parameter number 1, of shape \(3,\), is there already": lambda: optim.Adam([P, P]),
    r"parameter w, of shape \(3,\), is there already": lambda: optim.Adam([("v", P), ("w", P)]),
    r"parameter number 0 was computed": lambda: optim.Adam([P * 2]),
    r"an optimizer changes Tensors, got int 3": lambda: optim.Adam([3]),
    r"1 of 2 parameters have no names": lambda: optim.Adam([("w", P), leaf(2)]),
    r"the group has no 'params', only 'lr'": lambda: optim.Adam([{"lr": 1}]),
    r"SGD: lr must be at least 0, got -1": lambda: optim.SGD([P], lr=-1),
    r"SGD: lr must be at least 0, got nan": lambda: optim.SGD([P], lr=float("nan")),
    r"SGD: lr must be a number, got str '3'": lambda: optim.SGD([P], lr="3"),
    r"Adam: lr must be finite, got inf": lambda: optim.Adam([P], lr=float("inf")),
    r"SGD: dampening must be finite, got nan": lambda: optim.SGD([P], dampening=float("nan")),
    r"has 'lrr', which is no setting; did you mean 'lr'": lambda: optim.SGD([{"params": [P], "lrr": 1.0}]),
    r"did you mean 'weight_decay'": lambda: optim.SGD([{"params": [P], "weight_decy": 1.0}]),
    r"SGD: lr must be a number, got str 'fast'": lambda: optim.SGD([P], lr="fast"),
    r"lr must be one number, got a Tensor of shape \(2,\)": lambda: optim.SGD([P], lr=ag.tensor([1.0, 2.0])),
    r"nesterov=True needs a momentum above 0": lambda: optim.SGD([P], nesterov=True),
    r"AdamW: betas\[1\] must be from 0 up to, but not, 1, got 1": lambda: optim.AdamW([P], betas=(0.9, 1)),
    r"Adam: betas must be 2 numbers": lambda: optim.Adam([P], betas=0.9),
    r"Adadelta: rho must be from 0 to 1, got 2": lambda: optim.Adadelta([P], rho=2),
    r"Rprop: etas are a factor below 1 and one above": lambda: optim.Rprop([P], etas=(1.5, 1.2)),
    r"Muon: takes matrices only, got a parameter of shape \(3,\)": lambda: optim.Muon([P]),
    r"Adafactor: d must be at least 1": lambda: optim.Adafactor([P], d=0.5),
    r"Muon: eps must be a number, got str 'x'": lambda: optim.Muon([leaf(2, 2)], eps="x"),
    r"Muon: ns_coefficients must be 3 numbers, like": lambda: optim.Muon([leaf(2, 2)], ns_coefficients=3),
    r"Muon: ns_coefficients\[0\] must be a number": lambda: optim.Muon([leaf(2, 2)], ns_coefficients=("a", 1, 2)),
    r"Muon: ns_steps must be a whole number from 1 on, got 2.5": lambda: optim.Muon([leaf(2, 2)], ns_steps=2.5),
    r"Adafactor: eps must be 2 numbers, like \(None, 0.001\), got 0.1": lambda: optim.Adafactor([P], eps=0.1),
    r"Adafactor: eps\[0\] must be a number, got str 'a'": lambda: optim.Adafactor([P], eps=("a", 1)),
    r"Adafactor: beta2_decay must be a number, got NoneType": lambda: optim.Adafactor([P], beta2_decay=None),
    r"LBFGS: history_size must be a whole number from 1 on, got 2.5": lambda: optim.LBFGS([P], history_size=2.5),
    r"LBFGS: max_iter must be a whole number from 1 on, got '3'": lambda: optim.LBFGS([P], max_iter="3"),
    r"LBFGS: the group has no parameters": lambda: optim.LBFGS([{"params": []}]),
    r"no meaning for complex parameters": lambda: optim.SparseAdam([ag.tensor(np.ones(2, complex))]),
    r"all parameters are in one group": lambda: optim.LBFGS([{"params": [P]}, {"params": [leaf(2)]}]),
    r"line_search_fn is 'strong_wolfe' or None, got 'wolfe'": lambda: optim.LBFGS([P], line_search_fn="wolfe"),
    r"LBFGS\.step: needs a function that computes the loss": lambda: optim.LBFGS([P]).step(),
    r"differentiable=True is not possible": lambda: optim.Adam([P], differentiable=True),
    r"a hook is a function, got int": lambda: optim.SGD([P]).register_step_pre_hook(3),
    r"must define step\(closure=None\)": lambda: optim.Optimizer([P], {}).step(),
    r"groups of 1 parameters do not fit what was saved, groups of 2": lambda: optim.SGD([P]).load_state_dict(
        optim.SGD([leaf(1), leaf(2)]).state_dict()
    ),
    r"state missing": lambda: optim.SGD([P]).load_state_dict({"param_groups": []}),
    r"expected what state_dict\(\) gave, got int": lambda: optim.SGD([P]).load_state_dict(3),
    r"AveragedModel: give avg_fn": lambda: optim.swa_utils.AveragedModel([P], avg_fn=abs, multi_avg_fn=abs),
    r"decay is the share of the average that stays": lambda: optim.swa_utils.get_ema_avg_fn(2),
    r"Adam: foreach=True and fused=True are two ways": lambda: optim.Adam([P], foreach=True, fused=True),
    r"SGD: foreach=True and fused=True are two ways": lambda: optim.SGD([{"params": [P], "fused": True}], foreach=True),
    r"averages a module, or a list of tensors, got int 3": lambda: optim.swa_utils.AveragedModel(3),
    r"got a list with other things in it": lambda: optim.swa_utils.AveragedModel([3]),
    r"SWALR: swa_lr must be at least 0, got -1": lambda: optim.swa_utils.SWALR(optim.SGD([P]), -1.0),
    r"ExponentialLR: gamma must be finite, got nan": lambda: rates.ExponentialLR(optim.SGD([P]), float("nan")),
    r"StepLR: gamma must be a number, got str 'x'": lambda: rates.StepLR(optim.SGD([P]), 2, "x"),
    r"CosineAnnealingLR: T_max must be at least 1, got 0": lambda: rates.CosineAnnealingLR(optim.SGD([P]), 0),
}


@pytest.mark.parametrize("message", BAD)
def test_misuse_is_explained(message):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message]()


def test_a_state_of_other_shapes_is_refused_before_anything_changes():
    params, o = pair("Adam")
    other = optim.Adam([leaf(4, 5), leaf(30, 20)], lr=0.5)
    other.step()
    o.step()
    before = o.state[params[0]]["exp_avg"].numpy().copy()
    with pytest.raises(
        ValueError, match=r"parameter 0, of shape \(30, 20\): exp_avg must have shape \(30, 20\), the saved"
    ):
        o.load_state_dict(other.state_dict())
    assert o.param_groups[0]["lr"] == 1e-3 and np.array_equal(o.state[params[0]]["exp_avg"].numpy(), before)


def backward(p):
    """A loss whose gradient changes, with its gradient."""
    p.grad = None
    loss = (p**4).sum()
    loss.backward()
    return loss


def remembering(name, **options):
    """An optimizer of two parameters after two steps, and the numbers by which it is seen whether anything changes."""
    params = [leaf(6, 4), leaf(4, 5, seed=3)]
    o = getattr(optim, name)(params, **options)
    for _ in range(2):
        o.step(*([lambda: backward(params[0])] if name == "LBFGS" else []))
    return o


def same(a, b):
    """Whether two states have the same numbers."""
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a.numpy(), b.numpy()) if isinstance(a, ag.Tensor) else a == b


NONSENSE = {
    "exp_avg must have shape": {"exp_avg": 3.0},
    "exp_avg_sq must have shape": {"exp_avg_sq": [1.0, 2.0]},
    "exp_avg must be an array of float64, the saved one is str": {"exp_avg": "x"},
    "exp_avg must be an array of float64, the saved one is ndarray": {"exp_avg": np.ones((6, 4)) * 1j},
    "step must be a number from 0 on, the saved one is float nan": {"step": float("nan")},
    "step must be a number from 0 on, the saved one is int -5": {"step": -5},
    "step must be a number from 0 on, the saved one is str": {"step": "x"},
    "step must be a number from 0 on, the saved one is NoneType": {"step": None},
    "exp_avg_sq is made of squares .* 24 entries are, the least -1": {"exp_avg_sq": -np.ones((6, 4))},
}


@pytest.mark.parametrize("message", NONSENSE)
def test_a_state_of_nonsense_is_refused_before_anything_changes(message):
    o = remembering("Adam")
    before, state = copy.deepcopy(o.state_dict()), o.state_dict()
    state["state"][0] = state["state"][0] | NONSENSE[message]
    state["param_groups"] = [state["param_groups"][0] | {"lr": 7.0}]
    with pytest.raises((TypeError, ValueError), match=message):
        o.load_state_dict(state)
    assert same(o.state_dict(), before)


LACKING = {
    "Adam": "exp_avg_sq", "AdamW": "step", "NAdam": "mu_product", "RMSprop": "square_avg", "Adadelta": "acc_delta",
    "Adagrad": "sum", "Rprop": "prev", "ASGD": "eta", "Adafactor": "row_var", "Muon": "momentum_buffer",
    "SparseAdam": "exp_avg", "LAMB": "exp_avg", "Lion": "exp_avg",
}  # fmt: skip


@pytest.mark.parametrize("name", LACKING)
def test_a_state_that_lacks_something_is_refused_before_anything_changes(name):
    o = remembering(name)
    before, saved = copy.deepcopy(o.state_dict()), copy.deepcopy(o.state_dict())
    del saved["state"][1][LACKING[name]]
    saved["state"][1]["note"] = 1  # what a user may have put there
    with pytest.raises(ValueError, match=rf"parameter 1, of shape \(4, 5\): {LACKING[name]} missing, there is .*note"):
        o.load_state_dict(saved)
    assert same(o.state_dict(), before)
    saved["state"][1] = {}  # not stepped yet
    o.load_state_dict(saved)
    o.step()


def test_the_state_of_another_optimizer_is_refused():
    saved = remembering("SGD", momentum=0.9).state_dict()
    with pytest.raises(ValueError, match="exp_avg, exp_avg_sq, step missing.*of another optimizer than Adam"):
        remembering("Adam").load_state_dict(saved)


@pytest.mark.parametrize(
    ("name", "changed"),
    [("Adam", {"amsgrad": True}), ("RMSprop", {"momentum": 0.5, "centered": True}), ("SGD", {"momentum": 0.5})],
)
def test_a_state_from_before_a_setting_was_changed_is_taken(name, changed):
    o, other = remembering(name), remembering(name)
    o.param_groups[0] |= changed
    other.load_state_dict(o.state_dict())
    for one in o, other:
        one.step()
    assert same(o.state_dict(), other.state_dict())


@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize(
    ("name", "key"),
    [("Adam", "exp_avg"), ("RMSprop", "square_avg"), ("LAMB", "exp_avg_sq"), ("Adafactor", "variance")]
    + [("SparseAdam", "exp_avg")],
)
def test_a_state_that_was_put_there_must_fit(name, key, size):
    params = [leaf(size, seed=k) for k in range(2)]
    o = getattr(optim, name)([("v", params[0]), ("w", params[1])])
    o.step()
    one, fitting = o.state[params[1]], o.state[params[1]][key]
    before = [p.detach().numpy().copy() for p in params]
    state = copy.deepcopy(o.state[params[0]])
    locked = ag.from_numpy(np.broadcast_to(np.ones(1), (size,)))
    for error, given, said in [
        (ValueError, ag.tensor(np.ones(size + 1)), rf"must have shape \({size},\), got \({size + 1},\)"),
        (TypeError, np.ones(size), "must be a Tensor, got ndarray"),
        (RuntimeError, locked, "is read-only memory"),
    ]:
        one[key] = given
        with pytest.raises(error, match=rf"{name}\.step: {key} of parameter w {said}"):
            o.step()
        assert all(np.array_equal(p.detach().numpy(), b) for p, b in zip(params, before))
        assert same(o.state[params[0]], state)
    one[key] = fitting
    o.step()
    assert not np.array_equal(params[1].detach().numpy(), before[1])


@pytest.mark.parametrize("where", ["state", "one", "param_groups", "group"])
@pytest.mark.parametrize("what", [None, "x", 3.0, [1]])
def test_what_is_no_state_is_refused(where, what):
    o = remembering("Adam")
    state = o.state_dict()
    before = copy.deepcopy(state)
    if where in ("one", "group"):
        state["state" if where == "one" else "param_groups"][0] = what
    else:
        state[where] = what
    with pytest.raises(TypeError, match="dict"):
        o.load_state_dict(state)
    assert same(o.state_dict(), before)


def test_settings_that_come_with_a_state_say_what_shapes_fit():
    o, saved = remembering("SGD"), remembering("SGD", momentum=0.9).state_dict()
    saved["state"][0]["momentum_buffer"] = ag.zeros(3, 3)
    with pytest.raises(ValueError, match="momentum_buffer must have shape"):
        o.load_state_dict(saved)
    assert o.param_groups[0]["momentum"] == 0


def test_moments_of_whole_numbers_become_what_the_parameter_is():
    o = remembering("Adam")
    state = o.state_dict()
    state["state"][0] |= {"exp_avg": np.ones((6, 4), int), "step": np.array(3)}
    o.load_state_dict(state)
    one = o.state[o.param_groups[0]["params"][0]]
    assert one["exp_avg"].dtype == np.float64
    o.step()
    assert one["exp_avg"].numpy().std() > 0 and one["step"].item() == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("d"), "d missing"),
        (lambda s: s.pop("old_dirs"), "old_dirs missing"),
        (lambda s: s.update(ro=[]), "same length"),
        (lambda s: s.update(prev_flat_grad=ag.zeros(5)), r"all 44 entries .* shape \(5,\)"),
        (lambda s: s.update(old_stps=["x"]), "vectors of all 44 entries"),
    ],
)
def test_a_state_of_lbfgs_is_whole_or_refused(change, message):
    o = remembering("LBFGS")
    saved = copy.deepcopy(o.state_dict())
    o.load_state_dict(saved)
    before = copy.deepcopy(o.state_dict())
    change(saved["state"][0])
    with pytest.raises(ValueError, match=message):
        o.load_state_dict(saved)
    assert same(o.state_dict(), before)


@pytest.mark.parametrize(
    ("result", "said"), [(lambda x: None, "None, needed is the loss.*return loss"), (lambda x: x * x, "2 numbers.*sum")]
)
def test_a_closure_of_lbfgs_that_returns_no_number_is_refused_before_anything_changes(result, said):
    p = leaf(2)
    before, o = p.detach().numpy().copy(), optim.LBFGS([p])
    with pytest.raises(TypeError, match=said):
        o.step(lambda: result(p))
    assert np.array_equal(p.detach().numpy(), before) and not o.state


@pytest.mark.parametrize("name", [*STEPPED, "LBFGS"])
def test_a_rate_of_true_is_a_rate_of_one(name):
    found = []
    for rate in (True, 1.0):
        params = [leaf(6, 5)]
        o = getattr(optim, name)(params, lr=rate)
        for _ in range(3):
            o.step(*([lambda p=params[0], o=o: backward_of_squares(p, o)] if name == "LBFGS" else []))
        found.append(params[0].detach().numpy())
    assert np.array_equal(*found) and not np.array_equal(found[0], leaf(6, 5).detach().numpy())


def backward_of_squares(p, o):
    """A closure's work."""
    o.zero_grad()
    loss = (p * p).sum()
    loss.backward()
    return loss


@pytest.mark.parametrize("name", [n for n in STEPPED if n != "Muon"])
def test_integers_have_no_gradients_and_stay(name):
    counts, p = ag.tensor([1, 2]), leaf(2, 2)
    o = getattr(optim, name)([counts, p])
    before = p.detach().numpy().copy()
    o.step()
    assert counts.tolist() == [1, 2] and not np.array_equal(p.detach().numpy(), before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
def test_a_group_that_is_done_in_pieces_steps_as_its_parts_do(name, dtype):
    sizes = (
        100_003,
        77,
        40_000,
    )  # in all more than the entries from which on they are fetched ahead, none a multiple of that
    assert sum(sizes) > together.FAR > max(sizes)
    one, many = ([leaf(n, dtype=dtype, seed=n) for n in sizes] for _ in range(2))
    group, alone = getattr(optim, name)(one), [getattr(optim, name)([p]) for p in many]
    for _ in range(3):
        for o in (group, *alone):
            o.step()
    for p, q in zip(one, many):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())
        assert not np.array_equal(
            p.detach().numpy()[-3:], leaf(*p.shape, dtype=dtype, seed=p.shape[0]).detach().numpy()[-3:]
        )


def test_lbfgs_goes_on_with_complex_parameters():
    a, b = (ag.tensor(np.array([1 + 2j, 3 - 1j, 0.5j]), requires_grad=True) for _ in range(2))
    one, other = optim.LBFGS([a], max_iter=3), optim.LBFGS([b], max_iter=3)

    def closure(p):
        p.grad = None
        loss = ((p.abs() ** 2 - 2) ** 2 + (p.real - p.imag) ** 2).sum()
        loss.backward()
        return loss

    one.step(lambda: closure(a))
    other.load_state_dict(one.state_dict())
    b.data = a.detach().numpy().copy()
    one.step(lambda: closure(a))
    other.step(lambda: closure(b))
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_a_gradient_of_another_shape_is_refused_before_anything_changes():
    a, b = leaf(80), leaf(80)
    o = optim.SGD([a, b], lr=1.0)
    before = a.detach().numpy().copy()
    b.data = np.zeros(70)
    with pytest.raises(ValueError, match=r"a parameter of shape \(70,\) float64 has a gradient of shape \(80,\)"):
        o.step()
    assert np.array_equal(a.detach().numpy(), before)


def test_read_only_memory_is_refused():
    p = ag.from_numpy(np.broadcast_to(np.ones(1), (80,))).requires_grad_()
    p.grad = ag.tensor(np.ones(80))
    with pytest.raises(RuntimeError, match="read-only"):
        optim.SGD([p]).step()


def spoil_memory(o):
    p = o.param_groups[1]["params"][0]
    p.value.flags.writeable = False


def spoil_rate(o):
    o.param_groups[1]["lr"] = "x"


def spoil_share(o):
    name = next(n for n in ("betas", "momentum", "lr") if n in o.param_groups[1])
    o.param_groups[1][name] = (1, 1.0) if name == "betas" else float("nan")


@pytest.mark.parametrize("spoil", [spoil_memory, spoil_rate, spoil_share])
@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("name", STEPPED)
def test_a_step_that_is_refused_changes_nothing(name, size, spoil):
    params = [leaf(size, 2, seed=k) for k in range(2)]
    o = getattr(optim, name)([{"params": [p]} for p in params])
    o.step()
    spoil(o)
    before = [p.detach().numpy().copy() for p in params]
    state = copy.deepcopy(o.state_dict()["state"])
    with pytest.raises((TypeError, ValueError, RuntimeError), match="read-only|must be"):
        o.step()
    assert all(np.array_equal(p.detach().numpy(), b) for p, b in zip(params, before))
    assert same(o.state_dict()["state"], state)


def test_a_group_that_is_refused_is_not_added():
    o = optim.SGD([leaf(2)])
    group = {"params": [leaf(3)], "lr": -1}
    with pytest.raises(ValueError, match="lr must be at least 0"):
        o.add_param_group(group)
    assert len(o.param_groups) == 1 and set(group) == {"params", "lr"}


# --- hooks and names -------------------------------------------------------------------------------------------------


def test_hooks_of_steps_are_called_in_order_and_taken_away():
    p, told = leaf(3), []
    o = optim.SGD([p])
    handles = [
        optim.register_optimizer_step_pre_hook(lambda *a: told.append("all before")),
        optim.register_optimizer_step_post_hook(lambda *a: told.append("all after")),
        o.register_step_pre_hook(lambda opt, args, kwargs: told.append((opt is o, args, kwargs))),
        o.register_step_post_hook(lambda opt, args, kwargs: told.append("after")),
    ]
    o.step(None)
    assert told == ["all before", (True, (None,), {}), "all after", "after"]
    for handle in handles:
        handle.remove()
    o.step()
    assert len(told) == 4


def test_a_hook_can_change_what_a_step_is_given():
    p = leaf(3)
    o = optim.SGD([p])
    o.register_step_pre_hook(lambda opt, args, kwargs: ((lambda: 5,), {}))
    assert o.step() == 5
    o.register_step_pre_hook(lambda opt, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"returns None or \(args, kwargs\), got int"):
        o.step()


def test_hooks_of_states():
    o = optim.SGD([leaf(3)], momentum=0.9)
    told = []
    o.register_state_dict_pre_hook(lambda opt: told.append("saving"))
    o.register_state_dict_post_hook(lambda opt, state: state | {"more": 1})
    o.register_load_state_dict_pre_hook(lambda opt, state: told.append(state.pop("more")))
    o.register_load_state_dict_post_hook(lambda opt: told.append("loaded"))
    o.load_state_dict(o.state_dict())
    assert told == ["saving", 1, "loaded"]


def test_names_are_kept_with_the_state():
    o = optim.Adam([("a", leaf(3)), ("b", leaf(2))])
    assert o.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="groups with names are there already, this one is without"):
        o.add_param_group({"params": [leaf(4)]})


def test_an_optimizer_of_the_users_own():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=1.0):
            super().__init__(params, {"lr": lr, "must": optim.optimizer.required})

        def step(self, closure=None):
            with ag.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["seen"] = self.state[p].get("seen", 0) + 1
                        p -= group["lr"] * p.grad.sign()

    p = leaf(3)
    with pytest.raises(ValueError, match="must has no default"):
        Sign([p])
    o = Sign([{"params": [p], "must": 1}])
    before = p.detach().numpy().copy()
    o.step()
    np.testing.assert_allclose(p.detach().numpy(), before - np.sign(p.grad.numpy()))
    other = Sign([{"params": [leaf(3)], "must": 2}])
    other.load_state_dict(o.state_dict())
    assert other.param_groups[0]["must"] == 1 and next(iter(other.state.values())) == {"seen": 1}


def test_zero_grad():
    p = leaf(3)
    o = optim.SGD([p])
    kept = p.grad
    o.zero_grad(set_to_none=False)
    assert not kept.numpy().any() and p.grad.numpy().sum() == 0
    o.zero_grad()
    assert p.grad is None


# --- averages --------------------------------------------------------------------------------------------------------


def test_averages_of_parameters():
    p = ag.tensor([0.0, 10.0], requires_grad=True)
    mean = optim.swa_utils.AveragedModel([p])
    ema = optim.swa_utils.AveragedModel([p], multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.5))
    single = optim.swa_utils.AveragedModel([p], avg_fn=optim.swa_utils.get_ema_avg_fn(0.5))
    for value in 1.0, 2.0, 6.0:
        p.data = np.array([value, value], np.float32)
        for model in mean, ema, single:
            model.update_parameters([p])
    found = [next(model.parameters()).numpy().tolist() for model in (mean, ema, single)]
    assert found == [[3.0, 3.0], [3.75, 3.75], [3.75, 3.75]]
    other = optim.swa_utils.AveragedModel([p])
    other.load_state_dict({k: v.numpy() for k, v in mean.state_dict().items()})
    assert other.n_averaged.item() == 3 and next(other.parameters()).numpy().tolist() == [3, 3]


def test_averages_of_a_model_and_its_statistics():
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("nn")
    model, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    averaged, other = optim.swa_utils.AveragedModel(model), torch.optim.swa_utils.AveragedModel(theirs)
    rng = np.random.default_rng(0)
    for _ in range(3):
        for p, q in zip(model.parameters(), theirs.parameters()):
            a = rng.standard_normal(p.shape).astype("f")
            p.data, q.data = a, torch.tensor(a)
        averaged.update_parameters(model)
        other.update_parameters(theirs)
    state = other.state_dict()
    assert list(averaged.state_dict()) == list(state)
    for name, value in averaged.state_dict().items():
        np.testing.assert_allclose(value.numpy(), state[name].numpy(), rtol=1e-6)
    fresh = optim.swa_utils.AveragedModel(nn.Linear(3, 2))
    fresh.load_state_dict({k: v.numpy() for k, v in state.items()})
    x = ag.tensor(rng.standard_normal((4, 3)).astype("f"))
    np.testing.assert_allclose(fresh(x).detach().numpy(), averaged(x).detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("function", ["get_ema_multi_avg_fn", "get_ema_avg_fn"])
def test_averages_of_whole_numbers_are_pytorchs(function):
    torch = pytest.importorskip("torch")
    found = []
    for swa, tensor, norm in (
        (optim.swa_utils, ag.tensor, pytest.importorskip("nn").BatchNorm1d(2)),
        (torch.optim.swa_utils, torch.tensor, torch.nn.BatchNorm1d(2)),
    ):
        option = {"multi_avg_fn" if "multi" in function else "avg_fn": getattr(swa, function)(0.9)}
        averaged, counts = swa.AveragedModel(norm, use_buffers=True, **option), []
        for t in range(40):
            norm(tensor(np.full((3, 2), t, "f")))
            averaged.update_parameters(norm)
            counts.append(averaged.module.num_batches_tracked.item())
        found.append(counts)
    assert found[0] == found[1] and found[0][14] == 6


def test_an_average_of_a_module_is_a_module():
    torch, nn = pytest.importorskip("torch"), pytest.importorskip("nn")

    def holder(nn, swa):
        model = nn.Module()
        model.net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        model.average = swa.AveragedModel(model.net)
        return model

    one, other = holder(nn, optim.swa_utils), holder(torch.nn, torch.optim.swa_utils)
    assert list(one.state_dict()) == list(other.state_dict())
    assert isinstance(one.average, nn.Module) and isinstance(one.average, optim.swa_utils.AveragedModel)
    assert len(list(one.parameters())) == len(list(other.parameters()))
    one.average.update_parameters(one.net)
    for copied in copy.deepcopy(one), pickle.loads(pickle.dumps(one)):
        assert type(copied.average) is type(one.average) and copied.average.n_averaged.item() == 1
        copied.average.update_parameters(copied.net)
        copied.load_state_dict(one.state_dict())
        assert copied.average.n_averaged.item() == 1
    assert not one.eval().average.module.training
    x = ag.tensor(np.ones((4, 3), "f"))
    np.testing.assert_array_equal(one.average(x).detach().numpy(), one.net(x).detach().numpy())


def test_running_statistics_are_computed_anew():
    class Norm:
        momentum, training, seen = 0.1, False, None

        def modules(self):
            return [self]

        def train(self, mode=True):
            self.training = mode

        def reset_running_stats(self):
            self.seen = []

        def __call__(self, x):
            self.seen.append((x, self.training, self.momentum))

    model = Norm()
    optim.swa_utils.update_bn([(1, "label"), (2, "label")], model)
    assert model.seen == [(1, True, None), (2, True, None)] and (model.momentum, model.training) == (0.1, False)


@pytest.mark.parametrize(("epochs", "strategy"), [(10, "cos"), (5, "linear"), (0, "cos")])
def test_the_rate_of_averaging_is_pytorchs(epochs, strategy):
    torch = pytest.importorskip("torch")
    from schedules import advance

    found = []
    for library, tensor in (optim, ag.tensor), (torch.optim, torch.tensor):
        o = library.SGD([tensor([1.0])], lr=0.3)
        s = library.swa_utils.SWALR(o, 0.05, epochs, strategy)
        found.append(advance(o, s, 30))
    assert found[0] == found[1]


def test_small_groups_wait_for_no_compiler():
    params, x, y = problem("", np.float64)
    assert layout.SMALL <= 16
    tiny = [leaf(3), leaf(2)]
    o = optim.Adam(tiny)
    o.step()
    assert not o._layouts[0].parts and o._layouts[0].alone == [0, 1]
    follow(optim.Adam(leaves := ours(params)), leaves, x, y, 2)


@pytest.mark.parametrize("change", ["lr", "betas in place", "lr in place", "amsgrad", "other group", "loaded"])
def test_what_is_kept_of_settings_is_forgotten_when_they_change(change):
    """Beside an optimizer that is new at the change and so has kept nothing."""
    values = np.random.default_rng(0).standard_normal((3, 40)).astype("f")

    def made(lr, betas):
        params = [ag.tensor(v.copy(), requires_grad=True) for v in values]
        for p in params:
            p.grad = ag.tensor(np.cos(p.detach().numpy()))
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": lr}]
        return params, optim.Adam(groups, lr=0.1, betas=betas)

    lr, betas = ag.tensor(0.2) if change == "lr in place" else 0.2, [0.8, 0.9] if "betas" in change else (0.8, 0.9)
    params, one = made(lr, betas)
    for _ in range(3):
        one.step()
    state, before = copy.deepcopy(one.state_dict()), [p.detach().numpy().copy() for p in params]
    group = {"lr": 1, "betas in place": 0, "lr in place": 1, "amsgrad": 1, "other group": 0, "loaded": 1}[change]
    if change == "lr in place":
        lr.fill_(0.05)
    elif change == "betas in place":
        betas[0] = 0.1
    elif change == "amsgrad":
        one.param_groups[group]["amsgrad"] = True
    elif change == "loaded":
        state["param_groups"][1]["lr"] = 0.05
        one.load_state_dict(state)
    else:
        one.param_groups[group]["lr"] = 0.05
    others, two = made(0.2, (0.8, 0.9))
    for p, v in zip(others, before):
        p.data = ag.tensor(v)
    two.load_state_dict(state)
    for k, g in enumerate(two.param_groups):
        g.update({n: v for n, v in one.param_groups[k].items() if n != "params"})
    for _ in range(2):
        one.step()
        two.step()
    for p, q, v in zip(params, others, before):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
        assert not np.array_equal(p.detach().numpy(), v)
