"""Views, changes in place and backward, as a state machine against a model that never shares memory."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import autograd_core as ag
import nn.functional as F

SIZE = 6
WEIGHTS = np.linspace(0.5, 1.5, SIZE)
INDEXES = [slice(0, 3), slice(None, None, 2), slice(4, None), slice(None, None, -1), slice(1, 5), slice(5, 1, -2)]


class Linear:
    """The model: a value and its exact derivative by the parameters, entry by entry, no tape and no sharing."""

    def __init__(self, value: np.ndarray, slope: np.ndarray):
        self.value, self.slope = value, slope  # (n,), (n, SIZE)


class ViewsAndWrites(RuleBasedStateMachine):
    """A base of SIZE entries, views of it as index arrays into it, and in-place changes through any of them."""

    def __init__(self) -> None:
        super().__init__()
        self.w = ag.tensor(np.linspace(-1, 1, SIZE), requires_grad=True)
        self.base = self.w * 2.0
        self.model = Linear(np.linspace(-2, 2, SIZE), 2 * np.eye(SIZE))
        self.views = [(self.base, np.arange(SIZE))]

    def pick(self, k: int):
        return self.views[k % len(self.views)]

    @rule(k=st.integers(0, 9), index=st.sampled_from(INDEXES))
    def take_a_view(self, k, index):
        t, places = self.pick(k)
        if len(self.views) < 8 and len(places[index]):
            self.views.append((t[index], places[index]))

    @rule(k=st.integers(0, 9), c=st.floats(-1.5, 1.5))
    def scale(self, k, c):
        t, places = self.pick(k)
        t.mul_(c)
        self.model.value[places] *= c
        self.model.slope[places] *= c

    @rule(k=st.integers(0, 9), c=st.floats(-1, 1))
    def shift(self, k, c):
        t, places = self.pick(k)
        t += c
        self.model.value[places] += c

    @rule(k=st.integers(0, 9))
    def sine(self, k):
        t, places = self.pick(k)
        t.sin_()
        self.model.slope[places] *= np.cos(self.model.value[places])[:, None]
        self.model.value[places] = np.sin(self.model.value[places])

    @rule(k=st.integers(0, 9), index=st.sampled_from(INDEXES))
    def assign_parameters(self, k, index):
        t, places = self.pick(k)
        count = len(places[index])
        t[index] = self.w[:count] * 3.0
        self.model.value[places[index]] = 3 * self.w.detach().numpy()[:count]
        self.model.slope[places[index]] = 3 * np.eye(SIZE)[:count]

    @rule(k=st.integers(0, 9), j=st.integers(0, 9))
    def multiply_by_another(self, k, j):
        (t, places), (u, others) = self.pick(k), self.pick(j)
        n = min(len(places), len(others))
        value, slope = self.model.value[others[:n]].copy(), self.model.slope[others[:n]].copy()
        if max(np.abs(a).max(initial=0) for a in (self.model.value, self.model.slope)) > 1e50:
            return  # squared time and again, numbers would leave the range of floats
        t[:n].mul_(u[:n].clone())
        old = self.model.value[places[:n]].copy()
        self.model.slope[places[:n]] = self.model.slope[places[:n]] * value[:, None] + old[:, None] * slope
        self.model.value[places[:n]] = old * value

    @rule(k=st.integers(0, 9), mask=st.lists(st.booleans(), min_size=SIZE, max_size=SIZE))
    def fill_where(self, k, mask):
        t, places = self.pick(k)
        chosen = np.array(mask[: len(places)])
        t[chosen] = 0.25
        self.model.value[places[chosen]] = 0.25
        self.model.slope[places[chosen]] = 0

    @rule(k=st.integers(0, 9))
    def detached_write(self, k):
        t, places = self.pick(k)
        with ag.no_grad():
            t.add_(0.0)

    @precondition(lambda self: np.all(np.abs(self.model.value) < 1e6))
    @rule(k=st.integers(0, 9))
    def gradient_of_a_view(self, k):
        t, places = self.pick(k)
        y = (t * WEIGHTS[: len(places)]).sum()
        if y.requires_grad:
            (g,) = ag.gradient(y, [self.w], retain_graph=True, allow_unused=True)
            got = np.zeros(SIZE) if g is None else g.numpy()
        else:
            got = np.zeros(SIZE)
        np.testing.assert_allclose(got, WEIGHTS[: len(places)] @ self.model.slope[places], rtol=1e-9, atol=1e-9)

    @invariant()
    def values_agree(self):
        for t, places in self.views:
            np.testing.assert_allclose(t.detach().numpy(), self.model.value[places], rtol=1e-12, atol=1e-12)


ViewsAndWrites.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None, derandomize=True)
TestViewsAndWrites = ViewsAndWrites.TestCase


def test_a_view_shares_memory_and_history() -> None:
    w = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = w * 1.0
    head = x[:2]
    head *= 10
    assert x.tolist() == [10, 20, 3]
    x.sum().backward()
    assert w.grad.tolist() == [10, 10, 1]


def test_backward_refuses_what_was_overwritten() -> None:
    w = ag.tensor([1.0, 2.0], requires_grad=True)
    x = w * 2
    y = (x * x).sum()
    x[0] = 5.0
    with pytest.raises(RuntimeError, match=r"mul needs .* changed in place"):
        y.backward()
    assert w.grad is None


def test_anomaly_mode_shows_both_lines_of_a_clash() -> None:
    w = ag.tensor([1.0, 2.0], requires_grad=True)
    with ag.detect_anomaly():
        x = w * 2
        y = (x * x).sum()
        x.add_(1.0)
        with pytest.raises(RuntimeError) as caught:
            y.backward()
    assert str(caught.value).count("test_views.py") == 2


def test_optimizer_style_updates_do_not_disturb_later_steps() -> None:
    w = ag.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        (w * w).sum().backward()
        with ag.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    np.testing.assert_allclose(w.detach().numpy(), np.float32([1, 2]) * 0.8**3, rtol=1e-6)


def test_a_leaf_that_requires_gradients_is_not_overwritten() -> None:
    w = ag.tensor([1.0, 2.0], requires_grad=True)
    for change in (lambda: w.add_(1), lambda: w.__setitem__(0, 1.0), lambda: w[:1].mul_(2)):
        with pytest.raises(RuntimeError, match="leaf that requires gradients cannot be changed in place"):
            change()
    assert w.tolist() == [1, 2]


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((2, 2, 2)), 1j])
def test_a_value_that_does_not_fit_changes_nothing(bad) -> None:
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]]) * 1
    before = x.tolist()
    with pytest.raises((ValueError, TypeError)):
        x[...] = bad
    assert x.tolist() == before


@pytest.mark.parametrize(
    "f",
    [
        ag.exp, lambda v: v * v, lambda v: 2.0 * v, lambda v: v @ v, lambda v: v.mT, lambda v: ag.where(v > 1, v, -v),
        lambda v: v.split([1, 2])[1], lambda v: F.layer_norm(v, (3,)), lambda v: F.cross_entropy(v, np.arange(3)),
    ],
)  # fmt: skip
def test_a_view_has_the_history_of_its_base_whatever_is_called(f):
    x = ag.tensor(np.linspace(-1, 2, 9).reshape(3, 3), requires_grad=True)
    base = x * 1.0
    view = base[:]
    base *= 3.0
    (found,) = ag.gradient(f(view).sum(), [x])
    (expected,) = ag.gradient(f(x * 3.0).sum(), [x])
    np.testing.assert_allclose(found.numpy(), expected.numpy())


@pytest.mark.parametrize(
    "store",
    [
        lambda w, v: w.copy_(v), lambda w, v: w.__setitem__(slice(None), v), lambda w, v: w.__setitem__(..., v),
        lambda w, v: np.copyto(w, v),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["another", "itself", "base"])
def test_what_is_stored_has_the_history_of_its_base(store, where):
    x = ag.tensor([0.3, -0.5, 0.7], requires_grad=True)
    base = x * 1.0
    view, other = base[:2], base[:2]
    base.sigmoid_()
    target = {"another": ag.zeros(2), "itself": view, "base": other}[where]
    store(target, view)
    (found,) = ag.gradient(target.sum(), [x])
    (expected,) = ag.gradient(ag.sigmoid(x)[:2].sum(), [x])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
