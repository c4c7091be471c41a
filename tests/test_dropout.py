"""Dropout: what is kept, how it is scaled, and that the same seed keeps the same."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import _jit, random
from autograd_core.kernels import dropout as kernels
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.ops import dropout as ops

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_share_and_scale(p):
    ag.manual_seed(1)
    y = ops.dropout(ag.ones(100_000), p).numpy()
    assert set(np.unique(y)) <= {0, np.float32(1 / (1 - p)) if p < 1 else 0}
    assert abs((y == 0).mean() - p) < 0.005


def test_gradient_is_that_of_what_was_kept():
    x = ag.tensor(RNG.standard_normal((30, 20)), requires_grad=True)
    y = ops.dropout(x, 0.3)
    (g,) = ag.gradient(y.sum(), [x], create_graph=True)
    np.testing.assert_array_equal(g.detach().numpy(), (y.detach().numpy() != 0) / 0.7)
    x = ag.tensor(np.array([np.nan, np.inf, 1.0] * 20), requires_grad=True)
    ops.dropout(x, 1.0).sum().backward()
    assert not x.grad.numpy().any()


def test_without_training_nothing_happens():
    x = ag.tensor(RNG.standard_normal((3, 4)))
    for f in (ops.dropout, ops.alpha_dropout, ops.feature_alpha_dropout):
        assert f(x, 0.5, training=False) is x and f(x, 0.0, training=True) is x
    assert ops.dropout(ag.zeros(0), 0.5).shape == (0,)


def test_in_place():
    x = ag.ones(1000)
    y = ops.dropout(x, 0.5, inplace=True)
    assert y is x and 300 < (x.numpy() == 0).sum() < 700
    array = np.ones(1000)
    assert ops.dropout(array, 0.5, inplace=True) is array and (array == 0).any()


@pytest.mark.parametrize("n", [1, 8, 1000, 100_003])
def test_masks_come_from_the_seed_alone(n):
    ag.manual_seed(7)
    a, state = ops.dropout(np.ones(n), 0.4), ag.get_rng_state()
    ag.manual_seed(7)
    b = ops.dropout(ag.ones(n).double(), 0.4).numpy()
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(state, ag.get_rng_state())
    halves = random.words((7, 0, 0), -(-n // 8) * 4).astype("<u8").view("<u4")[:n]
    np.testing.assert_array_equal(a != 0, halves >= round(0.4 * 2**32))


@pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("count", [0, 1, 9, 100_000])
@pytest.mark.parametrize("place", [(1, 2, 3), (2**64 - 1, 5, 2**63), (0, 0, 2**64 - 3)])
def test_bits_are_those_of_the_reference(place, count):
    before = get_num_threads()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            np.testing.assert_array_equal(
                kernels.keep.compiled(place, count, 0.3), kernels.keep.reference(place, count, 0.3)
            )
    finally:
        set_num_threads(before)


@pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_agree_with_the_reference(dtype):
    for shape in ((0,), (5,), (40, 1000), ()):
        x, mask = RNG.standard_normal(shape).astype(dtype), RNG.random(shape) < 0.5
        x.flat[:1] = np.nan
        args = x.T, np.asarray(mask).T, 1.3
        np.testing.assert_array_equal(kernels.dropped.compiled(*args), kernels.dropped.reference(*args))


CHANNELS = [
    (ops.dropout1d, (4, 6, 5), 2),
    (ops.dropout1d, (6, 5), 1),
    (ops.dropout2d, (4, 6, 5, 2), 2),
    (ops.dropout2d, (4, 6, 5), 2),
    (ops.dropout3d, (4, 6, 5, 2, 3), 2),
    (ops.dropout3d, (6, 5, 2, 3), 1),
]


@pytest.mark.parametrize("f, shape, kept", CHANNELS)
def test_channels_are_dropped_whole(f, shape, kept):
    y = f(ag.ones(shape), 0.5).numpy()
    first = y.reshape(*shape[:kept], -1)
    assert (first == first[..., :1]).all() and set(np.unique(y)) <= {0, 2}
    x = ag.ones(shape, requires_grad=True)
    f(x, 0.5).sum().backward()
    assert set(np.unique(x.grad.numpy())) <= {0, 2}


@pytest.mark.parametrize("f", [ops.alpha_dropout, ops.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(f):
    ag.manual_seed(3)
    x = ag.randn(400, 500)
    y = f(x, 0.3, training=True).numpy()
    assert y.dtype == np.float32 and abs(y.mean()) < 0.01 and abs(y.std() - 1) < 0.01
    assert len(np.unique(y)) > 1000
    assert f(x, 1.0, training=True).numpy().any() == False  # noqa: E712


def test_alpha_dropout_agrees_with_torch_on_what_it_makes():
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal(1000)
    mine, other = (
        ops.alpha_dropout(ag.tensor(x), 0.3, True).numpy(),
        torch.nn.functional.alpha_dropout(torch.tensor(x), 0.3, True).numpy(),
    )
    dropped = lambda y: np.unique(y.round(9))[np.argmax(np.unique(y.round(9), return_counts=True)[1])]
    assert dropped(mine) == pytest.approx(dropped(other))
    kept = (mine.round(9) != dropped(mine)) & (other.round(9) != dropped(other))
    np.testing.assert_allclose(mine[kept], other[kept], atol=1e-6)


@pytest.mark.parametrize("shared", [False, True], ids=["of a member", "of what all share"])
@pytest.mark.parametrize("drop", [ops.dropout, lambda x, *a: ops.dropout1d(x[:, None], *a), ops.alpha_dropout])
def test_in_a_batch_members_drop_the_same_or_each_its_own(drop, shared):
    x = ag.ones(50) if shared else ag.ones(3, 50)
    f = lambda _, x: drop(x, 0.5, True) * 1
    rows = lambda how: ag.vmap(f, (0, None if shared else 0), randomness=how)(ag.ones(3), x).numpy().reshape(3, 50)
    same, different = rows("same"), rows("different")
    assert (same == same[0]).all() and len(np.unique(same)) == 2
    assert len(np.unique(different, axis=0)) == 3 and len(np.unique(different)) == 2
    with pytest.raises(RuntimeError, match="^dropout: a random draw inside vmap.*randomness='different'.*'same'"):
        rows("error")
    assert (ag.vmap(lambda x: ops.dropout(x, 0.5, False))(ag.ones(3, 5)).numpy() == 1).all()  # nothing is drawn


def test_gradients_of_members_that_drop_each_its_own():
    x = ag.ones(4, 50, dtype=ag.float64)
    f = lambda x: (ops.dropout(x, 0.5) ** 2).sum()
    value, grad = ag.vmap(ag.value_and_grad(f), randomness="different")(x)
    np.testing.assert_allclose(value.numpy(), grad.numpy().sum(1) / 2)  # of (2x)²: 8x; where x is 1: 4 and 8
    assert len(np.unique(grad.numpy(), axis=0)) == 4
    again = ag.jacobian(lambda x: ag.vmap(f, randomness="different")(x))(x).numpy()
    assert again.shape == (4, 4, 50) and not again[~np.eye(4, dtype=bool)].any()


ERRORS = [
    (lambda: ops.dropout(ag.ones(2), 1.5), ValueError, "^dropout: p is the probability .* but got 1.5"),
    (lambda: ops.dropout(ag.ones(2), -0.1), ValueError, "^dropout: p is the probability"),
    (lambda: ops.dropout(ag.tensor([1]), 0.5), TypeError, "^dropout: expected floating-point numbers, got int64"),
    (lambda: ops.dropout1d(ag.ones(2), 0.5), ValueError, r"^dropout1d: input must be \(N, C, L\)"),
    (lambda: ops.feature_alpha_dropout(ag.ones(2), 0.5, True), ValueError, r"^feature_alpha_dropout: input must be"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_misuse_is_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_unusual_ranks_are_warned_of():
    with pytest.warns(UserWarning, match="dropout2d: input has 2 axes"):
        ops.dropout2d(ag.ones(3, 4), 0.5)
