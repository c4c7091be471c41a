"""Reverse mode: accumulation, retaining, hooks, freeing, depth, memory, modes."""

import contextvars
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.op import REGISTRY
from autograd_core.tape import Pick
from autograd_core.tree import flatten
from nn import functional as F


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(list(values), dtype=ag.float64, requires_grad=True)


def test_gradients_accumulate() -> None:
    w = leaf(1, 2)
    for _ in range(3):
        (w * w).sum().backward()
    assert w.grad.tolist() == [6, 12]


def test_the_gradient_is_the_leafs_own_array() -> None:
    a, b = leaf(1, 2), leaf(3, 4)
    g = np.ones(2)
    (a + b).backward(g)
    assert a.grad.numpy() is not b.grad.numpy() and not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    g[:] = 7
    assert a.grad.tolist() == [1, 1] and b.grad.tolist() == [1, 1]


def test_a_second_backward_needs_retain_graph() -> None:
    w = leaf(2)
    y = (w * w).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match=r"graph behind .* has been freed.*retain_graph=True"):
        y.backward()
    assert w.grad.tolist() == [8]


def test_gradient_with_respect_to_some_and_unused() -> None:
    a, b, c = leaf(2), leaf(3), leaf(5)
    y = (a * b).sum()
    (ga,) = ag.gradient(y, [a], retain_graph=True)
    assert ga.tolist() == [3] and a.grad is None
    assert ag.gradient(y, [c, b], allow_unused=True, retain_graph=True)[0] is None
    with pytest.raises(RuntimeError, match=r"do not depend on input 1.*allow_unused=True"):
        ag.gradient(y, [a, c])


def test_gradient_with_respect_to_an_intermediate() -> None:
    w = leaf(2)
    h = w * 3
    (gh, gw) = ag.gradient((h * h).sum(), [h, w])
    assert gh.tolist() == [12] and gw.tolist() == [36]


def test_backward_to_chosen_inputs_only() -> None:
    a, b = leaf(2), leaf(3)
    (a * b).sum().backward(inputs=[a])
    assert a.grad.tolist() == [3] and b.grad is None


def test_second_gradients_through_backward() -> None:
    w = leaf(2)
    (w * w * w).sum().backward(create_graph=True)
    (g2,) = ag.gradient(w.grad.sum(), [w])
    assert g2.tolist() == [12]


def test_hooks() -> None:
    w, seen = leaf(1, 2), []
    h = w * 2
    h.register_hook(seen.append)
    doubled = h.register_hook(lambda g: g * 10)
    w.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    h.sum().backward()
    assert seen[0].tolist() == [1, 1] and seen[1] == [20, 20]
    doubled.remove()
    w.grad = None
    h = w * 2
    h.retain_grad()
    h.sum().backward()
    assert h.grad.tolist() == [1, 1] and w.grad.tolist() == [2, 2]


def test_hooks_run_once_even_when_the_walk_is_made_again() -> None:
    w, calls = leaf(-1, 2), []
    h = w * 1
    h.register_hook(lambda g: calls.append(1))
    with np.errstate(all="ignore"):
        ag.where(h > 0, h.sqrt(), 0.0).sum().backward()
    assert len(calls) == 1 and np.isfinite(w.grad.numpy()).all()


def test_saved_tensors_hooks() -> None:
    packed = []

    def pack(t):
        packed.append(t.shape)
        return t.numpy().astype(np.float32)

    w = leaf(1.5, 2.5)
    with ag.saved_tensors_hooks(pack, lambda a: ag.from_numpy(a.astype(np.float64))):
        y = (w * w).sum()
    y.backward()
    assert packed and w.grad.tolist() == [3, 5]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.scaled_dot_product_attention(x, x, x),  # an op of several results
        lambda x: ag.einsum("ij,jk,kl->il", x, x, x),  # an op of as many arguments as there are
        lambda x: ag.linalg.slogdet(x)[1],
    ],
)
def test_saved_tensors_hooks_are_told_of_results_and_arguments_in_tuples(f) -> None:
    """No array is kept that did not go through them, so a checkpoint keeps none."""
    x = ag.randn(4, 4, requires_grad=True)
    f(x).sum().backward()
    expected, x.grad = x.grad, None
    with ag.saved_tensors_hooks(lambda t: pickle.dumps(t), pickle.loads):
        y = f(x)
    node = y.grad_fn
    while isinstance(node, Pick):
        (node,) = node.parents
    assert not any(isinstance(v, np.ndarray) for v in flatten([list(node.packed)])[0])
    y.sum().backward()
    assert np.allclose(x.grad.numpy(), expected.numpy())
    x.grad = None
    ag.checkpoint(f, x).sum().backward()
    assert np.allclose(x.grad.numpy(), expected.numpy())


def test_no_grad_and_friends() -> None:
    w = leaf(1)
    with ag.no_grad():
        assert not (w * 2).requires_grad
        with ag.enable_grad():
            assert (w * 2).requires_grad
    with ag.inference_mode():
        assert not (w * 2).requires_grad
    with ag.set_grad_enabled(False):
        assert not (w * 2).requires_grad
    assert ag.is_grad_enabled()

    @ag.no_grad()
    def f():
        return w * 2

    @ag.no_grad
    def g():
        return w * 2

    assert not f().requires_grad and not g().requires_grad and (w * 2).requires_grad


def test_modes_belong_to_threads() -> None:
    w, found = leaf(1), []
    with ag.no_grad():
        thread = threading.Thread(target=lambda: found.append((w * 2).requires_grad))
        thread.start()
        thread.join()
    assert found == [True]


def test_threads_build_and_walk_their_own_graphs() -> None:
    results = [None] * 8

    def work(k):
        w = leaf(k)
        for _ in range(50):
            w.grad = None
            y = w * 1.0
            for _ in range(20):
                y = y * 1.01 + 0.1
            y.sum().backward()
        results[k] = w.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    np.testing.assert_allclose(results, 1.01**20)


def test_a_graph_dies_with_its_result() -> None:
    gc.collect()
    gc.disable()
    try:
        w = leaf(1, 2)
        h = w * 2
        node = weakref.ref(h.grad_fn)
        y = (h * h).tanh().sum()
        (g,) = ag.gradient(y, [w], create_graph=True)
        (g * g).sum().backward()
        del h, y, g
        w.grad = None
        assert node() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_view_and_a_write_leave_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        w = leaf(1, 2, 3)
        x = w * 2
        v = x[1:]
        v *= w[:2]
        x.sum().backward()
        del x, v
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_million_calls_deep() -> None:
    w = leaf(1.0)
    y = w
    for _ in range(1_000_000):
        y = y + 1e-6
    y.backward()
    assert w.grad.tolist() == [1] and y.item() == pytest.approx(2.0)


def test_only_what_rules_read_is_kept() -> None:
    w, x = leaf(1, 2), ag.tensor([3.0, 4.0], dtype=ag.float64)
    kept = lambda t: [n for n, k in t.grad_fn.plan.op.slots.items() if t.grad_fn.env and t.grad_fn.env[k] is not None]
    assert (kept(w + w), kept(w.tanh()), kept(x * w), kept(w * w)) == ([], ["y"], ["a"], ["a", "b"])


def test_float32_gradients_of_float32() -> None:
    w = ag.tensor([1.0, 2.0], requires_grad=True)
    ((w * np.float64(2.0)).exp() / 3).sum().backward()
    assert w.grad.dtype == np.float32


def test_unselected_is_no_gradient() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    cases = {
        "log": lambda t: ag.where(t > 0, t.log(), 0.0),
        "sqrt": lambda t: ag.where(t > 0, t.sqrt(), 0.0),
        "inverse": lambda t: ag.where(t > 0, 1 / t, 0.0),
        "power": lambda t: ag.where(t > 0, t**0.5, 0.0),
        "overflow": lambda t: ag.where(t < 1, ag.exp(t * t * 1000), 0.0) * 0 + ag.where(t > 1, t, 0.0),
        "zero times infinity": lambda t: ag.where(t > 0, t * t.log(), 0.0),
    }
    with np.errstate(all="ignore"):
        for name, f in cases.items():
            first = ag.grad(lambda t, f=f: f(t).sum())
            second = ag.grad(lambda t, f=f: (ag.grad(lambda u: f(u).sum())(t) * np.ones(3)).sum())
            for g in (first(x), second(x)):
                assert np.isfinite(g).all(), f"{name}: {g}"
            assert first(x)[0] == 0 and second(x)[0] == 0


def test_raw_log_keeps_its_slope() -> None:
    with np.errstate(all="ignore"):
        assert ag.grad(lambda x: ag.log(x))(-2.0) == -0.5


def test_norm_std_sqrt_at_zero() -> None:
    zero = np.zeros(3)
    for f in (lambda x: x.norm(), lambda x: x.std(), lambda x: ag.dist(x, zero), lambda x: x.norm() ** 2):
        assert np.array_equal(ag.grad(f)(zero), zero)
        assert np.isfinite(ag.hessian(f)(zero)).all()


def test_masked_softmax_rows() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    mask = np.array([[True, False], [False, False]])
    f = lambda t: (ag.softmax(ag.where(mask, t, -np.inf), -1) * np.array([[1.0, 2.0], [3.0, 4.0]])).sum()
    with np.errstate(all="ignore"):
        assert np.array_equal(ag.grad(f)(x), np.zeros((2, 2)))
        assert np.isfinite(ag.hessian(f)(x)).all()


def test_second_gradient_with_respect_to_one_of_several_results() -> None:
    a = ag.tensor(np.array([[2.0, 0.3], [0.3, 1.0]]), requires_grad=True)
    s = ag.linalg.eigvalsh(a)
    w, v = ag.linalg.eigh(a)
    y = (w * w * w).sum() + (v * v).sum()
    (g,) = ag.gradient(y, [w], create_graph=True)
    (h,) = ag.gradient(g.sum(), [w])
    np.testing.assert_allclose(h.numpy(), 6 * s.detach().numpy())


def test_an_input_without_a_rule_is_left_out_however_often_it_is_called() -> None:
    step = ag.elementwise(
        lambda a, b: np.where(a > 0, b, -b), None, lambda a, b: np.sign(a), name="step_of_test", inputs=("a", "b")
    )
    a, b = leaf(1.0, -1.0), leaf(2.0, 3.0)
    for _ in range(3):
        assert not step(a, ag.tensor([1.0, 1.0], dtype=ag.float64)).requires_grad
        assert ag.gradient(step(a, b).sum(), [b])[0].tolist() == [1, -1]
    del REGISTRY["step_of_test"]


def test_no_grad_holds_inside_a_generator() -> None:
    w = leaf(1)

    @ag.no_grad()
    def steps():
        for _ in range(2):
            yield (w * 2).requires_grad

    seen = []
    for inside in steps():
        seen += [inside, (w * 2).requires_grad]
    assert seen == [False, True, False, True]


def test_a_decorator_changes_nothing_until_it_is_called() -> None:
    w = leaf(1)

    @ag.set_grad_enabled(False)
    def f():
        return (w * 2).requires_grad

    assert (w * 2).requires_grad and not f() and (w * 2).requires_grad


def test_deepcopy_and_pickle_keep_gradients() -> None:
    import copy

    w = leaf(1, 2)
    (w * w).sum().backward()
    for twin in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert twin.requires_grad and twin.grad.tolist() == [2, 4] and twin.grad is not w.grad
        twin.grad.zero_()
    assert w.grad.tolist() == [2, 4]


def test_gradients_are_not_shared_with_anybody() -> None:
    given = ag.tensor([5.0, 5.0], dtype=ag.float64)
    w, seen = leaf(1, 2), []
    w.register_hook(lambda g: given)
    w.register_hook(seen.append)
    (w * w).sum().backward()
    w.grad.zero_()
    assert given.tolist() == [5, 5] and seen[0].tolist() == [5, 5]


def test_walking_up_to_an_intermediate_leaves_its_own_graph_alone() -> None:
    w = leaf(1, 2)
    h = w.exp() * w
    (g,) = ag.gradient((h * h).sum(), h)
    h.backward(g)
    assert w.grad is not None


def test_a_value_changed_before_it_is_copied_back_is_noticed() -> None:
    b, w = leaf(1, 2), leaf(1, 1)
    x = b * 1
    z = x * w
    x.add_(1)
    x.copy_(z)
    with pytest.raises(RuntimeError, match="changed in place"):
        x.sum().backward()


def test_retained_gradients_are_those_after_the_hooks_and_add_up() -> None:
    h = leaf(1) * 1
    h.retain_grad()
    h.register_hook(lambda g: g * 10)
    y = h.sum()
    y.backward(retain_graph=True)
    y.backward()
    assert h.grad.tolist() == [20]


def test_freezing_a_base_leaves_its_views_their_history() -> None:
    w = leaf(1, 2, 3)
    v = w[:2]
    w.requires_grad_(False)
    assert (v * v).requires_grad


def test_writes_through_real_and_imag_reach_the_base() -> None:
    w = ag.ones(2, 2, dtype=ag.float64, requires_grad=True)
    y = w * 1
    y.real[0] = 2.0
    (y * y).sum().backward()
    assert w.grad.tolist() == [[0, 0], [2, 2]]
    z = ag.tensor(np.array([1 + 2j, 3 - 1j]), requires_grad=True)
    y = z * 1
    y.imag.mul_(0.0)
    (y * y.conj()).real.sum().backward()
    assert z.grad.tolist() == [2, 6]


def test_retained_gradients_count_once_however_often_the_walk_is_made(monkeypatch) -> None:
    monkeypatch.setattr("autograd_core.tape.user_code", False)  # as in a program that has no hooks
    for f in (lambda h: ag.where(h > 0, h.sqrt(), 0.0), lambda h: h * 2):  # walked again for NaN; for a zero leaf
        w, dead = leaf(-1, 4), leaf(0, 0)
        h = w * 1
        h.retain_grad()
        with np.errstate(all="ignore"):
            (f(h) + dead * 0).sum().backward()
        assert h.grad.tolist() == w.grad.tolist() and dead.grad.tolist() == [0, 0]


def test_what_users_wrote_runs_in_their_context():
    place, seen = contextvars.ContextVar("place", default="elsewhere"), []
    place.set("here")
    note = lambda t: seen.append(place.get())
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    with ag.saved_tensors_hooks(lambda t: t, lambda t: note(t) or t):
        packed = (x * x).sum()
    hooked = x * x
    hooked.register_hook(note)
    for y in (packed, hooked.sum()):
        y.backward()
        assert seen and set(seen) == {"here"}
        seen.clear()
