"""Convolution in other ways, pooling of regions, and noise of layers, beyond PyTorch."""

import itertools
import math

import numpy as np
import pytest

import autograd_core as ag
import nn.functional as F
from autograd_core import random

RNG = np.random.default_rng(9)
normal, uniform = RNG.standard_normal, RNG.uniform


@pytest.fixture(autouse=True)
def seeded():
    with random.fork_rng():
        yield random.manual_seed(3)


def leaf(a):
    return ag.tensor(a, requires_grad=True)


def twice(f, *arrays):
    """Gradients of first and second order are those of differences."""
    assert ag.gradcheck(f, [leaf(a) for a in arrays])
    assert ag.gradgradcheck(f, [leaf(a) for a in arrays])


def close(actual, expected, **options):
    value = lambda t: t.detach().numpy() if isinstance(t, ag.Tensor) else t
    np.testing.assert_allclose(value(actual), value(expected), **{"rtol": 1e-11, "atol": 1e-12} | options)


# --- convolution -----------------------------------------------------------------------------------------------------


def test_true_convolution_is_that_of_the_book_and_of_numpy():
    x, h = np.array([1.0, 2, 2]), np.array([3.0, 2, 1])
    y = F.convolve1d(ag.tensor(x[None, None]), ag.tensor(h[None, None]), padding="full")
    close(y, [[[3, 8, 11, 6, 2]]])
    x, h = normal(9), normal(4)
    for mode in ("full", 0):
        y = F.convolve1d(ag.tensor(x[None, None]), ag.tensor(h[None, None]), padding=mode)
        close(y[0, 0], np.convolve(x, h, "full" if mode else "valid"))
    x, h = normal((5, 6)), normal((2, 3))
    full = np.zeros((6, 8))
    for i, j in np.ndindex(*h.shape):
        full[i : i + 5, j : j + 6] += h[i, j] * x
    close(F.convolve2d(ag.tensor(x[None, None]), ag.tensor(h[None, None]), padding="full")[0, 0], full)
    b, w = ag.tensor(normal((1, 2, 4, 4, 3))), normal((3, 1, 2, 1, 2))
    flipped = ag.tensor(w[:, :, ::-1, ::-1, ::-1].copy())
    close(F.convolve3d(b[:, :1], ag.tensor(w)), F.conv3d(b[:, :1], flipped))
    twice(lambda x, w: F.convolve1d(x, w, dilation=2, padding="full"), normal((1, 2, 4)), normal((2, 2, 2)))


CASES = [
    (1, (2, 4, 9), (6, 2, 3), dict(stride=2, padding=1, dilation=2, groups=2)),
    (1, (1, 3, 5), (2, 3, 5), {}),
    (2, (2, 4, 7, 6), (3, 4, 3, 2), dict(padding=(1, 0), stride=(1, 2))),
    (2, (2, 4, 7, 8), (4, 1, 2, 3), dict(dilation=(2, 3), groups=4)),
    (3, (1, 2, 5, 4, 6), (3, 2, 2, 3, 2), dict(padding=1, stride=(2, 1, 1), dilation=(1, 1, 2))),
    (2, (2, 2, 5, 6), (3, 2, 2, 3), dict(padding="same", dilation=(3, 1))),
    (2, (2, 5, 6), (3, 2, 2, 3), dict(padding="valid", stride=2)),
    (1, (2, 5), (3, 2, 2), dict(padding=1)),
]


@pytest.mark.parametrize("rank, shape, kernel, options", CASES)
def test_convolution_by_fourier_transform(rank, shape, kernel, options):
    arrays = normal(shape), normal(kernel), normal(kernel[0])
    ours, others = [leaf(a) for a in arrays], [leaf(a) for a in arrays]
    y = getattr(F, f"fft_conv{rank}d")(*ours, **options)
    z = getattr(F, f"conv{rank}d")(*others, **options)
    close(y, z)
    g = ag.tensor(normal(y.shape))
    for a, b in zip(ag.gradient(y, ours, g), ag.gradient(z, others, g)):
        close(a, b)


def test_convolution_by_fourier_transform_twice_and_wrong():
    twice(lambda x, w: F.fft_conv1d(x, w, padding=1, dilation=2), normal((1, 2, 4)), normal((2, 2, 2)))
    with pytest.raises(ValueError, match=r"fft_conv1d: the kernel, which spans \(5,\), is larger"):
        F.fft_conv1d(ag.zeros(1, 1, 4), ag.zeros(1, 1, 3), dilation=2)
    with pytest.raises(ValueError, match=r"fft_conv2d: needs input \(N, C, ...\)"):
        F.fft_conv2d(ag.zeros(1, 2, 4, 4), ag.zeros(1, 1, 3, 3))


def test_separable_convolution():
    x, depth, point, b = normal((2, 3, 6, 5)), normal((6, 1, 3, 2)), normal((4, 6, 1, 1)), normal(4)
    whole = np.zeros((4, 3, 3, 2))  # the one kernel that both make together
    for k, c, m in itertools.product(range(4), range(3), range(2)):
        whole[k, c] += point[k, 2 * c + m, 0, 0] * depth[2 * c + m, 0]
    how = dict(stride=(1, 2), padding=1)
    y = F.separable_conv2d(*map(ag.tensor, (x, depth, point, b)), **how)
    close(y, F.conv2d(*map(ag.tensor, (x, whole, b)), **how))
    x, depth, point = normal((1, 2, 5)), normal((2, 1, 3)), normal((3, 2, 1))
    twice(F.separable_conv1d, x, depth, point)
    with pytest.raises(ValueError, match=r"for 2 channels the depthwise weight is \(2 \* m, 1, ...\)"):
        F.separable_conv1d(ag.tensor(x), ag.zeros(3, 1, 3), ag.tensor(point))


def test_spatially_separable_convolution():
    x, v, h = normal((2, 3, 6, 7)), normal((4, 3, 3)), normal((5, 4, 2))
    whole = np.einsum("mci,kmj->kcij", v, h)
    how = dict(stride=(2, 1), padding=(1, 0))
    y = F.spatially_separable_conv2d(*map(ag.tensor, (x, v, h)), **how)
    close(y, F.conv2d(ag.tensor(x), ag.tensor(whole), **how))
    twice(F.spatially_separable_conv2d, x[:1, :1, :4, :4], v[:1, :1], h[:1, :1])


def test_locally_connected_layers():
    x, w, b = normal((2, 3, 5, 6)), normal((3, 2, 4, 3, 3, 2)), normal((4, 3, 2))
    y = F.locally_connected2d(*map(ag.tensor, (x, w, b)), stride=(2, 3), padding=(1, 0)).numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    for i, j in np.ndindex(3, 2):
        window = padded[:, :, 2 * i : 2 * i + 3, 3 * j : 3 * j + 2]
        close(y[:, :, i, j], np.einsum("ncij,kcij->nk", window, w[i, j]) + b[:, i, j])
    same = normal((4, 3, 3))
    shared = np.broadcast_to(same, (4, 4, 3, 3))
    close(
        F.locally_connected1d(ag.tensor(x[:, :, 0]), ag.tensor(shared)),
        F.conv1d(ag.tensor(x[:, :, 0]), ag.tensor(same)),
    )
    twice(F.locally_connected1d, normal((2, 2, 4)), normal((3, 2, 2, 2)), normal((2, 3)))
    with pytest.raises(ValueError, match="is for 3 x 2 windows of 3 channels, .* has 12 windows of 18 entries"):
        F.locally_connected2d(ag.tensor(x[:, :, :, :5]), ag.tensor(w[:, :, :, :, :, :]))


def test_tiled_convolution():
    x, w, b = normal((2, 3, 6, 7)), normal((2, 3, 4, 3, 2, 2)), normal(4)
    y = F.tiled_conv2d(*map(ag.tensor, (x, w, b)), padding=1).numpy()
    for a, c in np.ndindex(2, 3):
        plain = F.conv2d(ag.tensor(x), ag.tensor(w[a, c]), ag.tensor(b), padding=1).numpy()
        close(y[:, :, a::2, c::3], plain[:, :, a::2, c::3])
    close(F.tiled_conv2d(ag.tensor(x), ag.tensor(w[:1, :1])), F.conv2d(ag.tensor(x), ag.tensor(w[0, 0])))
    one = F.tiled_conv1d(ag.tensor(x[:, :, 0]), ag.tensor(w[0, :, :, :, 0]), ag.tensor(b), stride=2).numpy()
    for a in range(3):
        close(
            one[:, :, a::3],
            F.conv1d(ag.tensor(x[:, :, 0]), ag.tensor(w[0, a, :, :, 0]), ag.tensor(b), 2).numpy()[:, :, a::3],
        )
    twice(F.tiled_conv1d, normal((1, 2, 4)), normal((2, 2, 2, 2)), normal(2))


@pytest.mark.parametrize(
    "n, k, s, d, border",
    [
        (5, 3, 1, 1, (1, 1)),
        (5, 2, 1, 1, (0, 1)),
        (6, 3, 2, 1, (0, 1)),
        (5, 4, 2, 1, (1, 2)),
        (7, 2, 2, 1, (0, 1)),
        (8, 2, 2, 1, (0, 0)),
        (9, 3, 1, 2, (2, 2)),
        (5, 1, 3, 1, (0, 0)),
    ],
)
def test_same_padding_is_that_of_tensorflow(n, k, s, d, border):
    x = ag.tensor(normal((1, 1, n)))
    y = F.pad_same(x, k, s, d)
    close(y, np.pad(x.numpy(), ((0, 0), (0, 0), border)))
    assert F.conv1d(y, ag.ones(1, 1, k, dtype=ag.float64), None, s, 0, d).shape[-1] == -(-n // s)


def test_same_padding_of_images():
    x = ag.tensor(normal((1, 1, 5, 6)))
    close(F.pad_same(x, (2, 3), (1, 2)), np.pad(x.numpy(), ((0, 0), (0, 0), (0, 1), (0, 1))))
    padded = F.pad_same(x, 2, 2, value=-math.inf)
    assert F.max_pool2d(padded, 2).shape == (1, 1, 3, 3)
    twice(lambda x: F.pad_same(x, 2, mode="reflect"), normal((1, 1, 3)))


def test_channels_last():
    x, w = normal((2, 5, 6, 3)), normal((4, 3, 3, 2))
    y = F.channels_last(F.conv2d)(ag.tensor(x), ag.tensor(w), padding=1)
    z = F.conv2d(ag.tensor(x.transpose(0, 3, 1, 2).copy()), ag.tensor(w), padding=1)
    close(y, z.numpy().transpose(0, 2, 3, 1))
    values, places = F.channels_last(F.max_pool2d)(ag.tensor(x), 2, return_indices=True)
    assert values.shape == places.shape == (2, 2, 3, 3)
    assert F.channels_last(F.conv2d).__name__ == "conv2d"
    close(F.channels_last(F.conv2d)(ag.tensor(x[0]), ag.tensor(w), padding=1), y[0])
    assert F.channels_last(F.max_pool2d)(ag.tensor(x[0]), 2, return_indices=True)[1].shape == (2, 3, 3)
    twice(lambda x: F.channels_last(F.avg_pool1d)(x, 2), normal((1, 4, 2)))


# --- pooling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank, shape", [(1, (2, 3, 7)), (2, (2, 3, 6, 5)), (3, (1, 2, 4, 4, 5))])
def test_pools_of_sums_and_lengths(rank, shape):
    x = normal(shape)
    average = getattr(F, f"avg_pool{rank}d")(ag.tensor(x), 3, 2, 1, count_include_pad=True)
    y = getattr(F, f"sum_pool{rank}d")(ag.tensor(x), 3, 2, 1)
    close(y, average.numpy() * 3**rank)
    y = getattr(F, f"l2_pool{rank}d")(ag.tensor(x), 2)
    close(y, getattr(F, f"lp_pool{rank}d")(ag.tensor(x), 2.0, 2))
    small = x[tuple(slice(0, 4) for _ in shape)][:1, :1]
    twice(lambda x: getattr(F, f"l2_pool{rank}d")(x, 2, 1), small)
    zero = leaf(np.zeros(shape))
    getattr(F, f"l2_pool{rank}d")(zero, 2).sum().backward()
    np.testing.assert_array_equal(zero.grad, 0)


BOXES = np.array(
    [
        [0, 0.0, 0, 4, 3],
        [1, 2.2, 1.7, 6.9, 5.1],
        [0, 3, 2, 3, 2],
        [1, -2, -3, 9, 8],
        [1, 0.5, 4.5, 5.5, 5.6],
        [0, 7, 6, 12, 9],
    ]
)
IMAGES = normal((2, 3, 6, 8))


def pooled_by_hand(x, box, size, scale):
    """As its authors say it, in loops."""
    left, top, right, bottom = (int(math.copysign(math.floor(abs(v * scale) + 0.5), v)) for v in box)
    height, width = max(bottom - top + 1, 1) / size[0], max(right - left + 1, 1) / size[1]
    y = np.zeros((x.shape[0], *size))
    for i, j in np.ndindex(*size):
        a, b = (min(max(int(f) + top, 0), x.shape[1]) for f in (math.floor(i * height), math.ceil((i + 1) * height)))
        c, d = (min(max(int(f) + left, 0), x.shape[2]) for f in (math.floor(j * width), math.ceil((j + 1) * width)))
        if a < b and c < d:
            y[:, i, j] = x[:, a:b, c:d].max((1, 2))
    return y


def at_point(x, v, u):
    """x at a place between its entries."""
    height, width = x.shape[1:]
    if v < -1 or v > height or u < -1 or u > width:
        return np.zeros(x.shape[0])
    v, u = max(v, 0), max(u, 0)
    i, j = min(int(v), height - 1), min(int(u), width - 1)
    p, q = (0 if i == height - 1 else v - i), (0 if j == width - 1 else u - j)
    k, l = min(i + 1, height - 1), min(j + 1, width - 1)
    return (1 - p) * ((1 - q) * x[:, i, j] + q * x[:, i, l]) + p * ((1 - q) * x[:, k, j] + q * x[:, k, l])


def aligned_by_hand(x, box, size, scale, ratio, aligned):
    left, top, right, bottom = (v * scale - (0.5 if aligned else 0) for v in box)
    tall, wide = (v if aligned else max(v, 1) for v in (bottom - top, right - left))
    height, width = tall / size[0], wide / size[1]
    rows, columns = (ratio if ratio > 0 else math.ceil(v) for v in (height, width))
    y = np.zeros((x.shape[0], *size))
    for i, j in np.ndindex(*size):
        points = [at_point(x, top + (i + (a + 0.5) / rows) * height, left + (j + (b + 0.5) / columns) * width)
                  for a in range(rows) for b in range(columns)]  # fmt: skip
        y[:, i, j] = np.sum(points, 0) / max(len(points), 1) if points else 0
    return y


@pytest.mark.parametrize("size, scale", [((2, 3), 1.0), ((3, 3), 0.5), ((1, 1), 1.3)])
def test_regions_of_interest(size, scale):
    y = F.roi_pool(ag.tensor(IMAGES), ag.tensor(BOXES), size, scale)
    close(y, [pooled_by_hand(IMAGES[int(i)], box, size, scale) for i, *box in BOXES])
    for ratio, aligned in itertools.product((-1, 2), (False, True)):
        y = F.roi_align(ag.tensor(IMAGES), ag.tensor(BOXES), size, scale, ratio, aligned)
        close(y, [aligned_by_hand(IMAGES[int(i)], box, size, scale, ratio, aligned) for i, *box in BOXES])


def test_boxes_may_be_listed_by_image():
    listed = [ag.tensor(BOXES[BOXES[:, 0] == i, 1:]) for i in (0, 1)]
    order = np.argsort(BOXES[:, 0], kind="stable")
    for f in (F.roi_pool, F.roi_align):
        close(f(ag.tensor(IMAGES), listed, 2), f(ag.tensor(IMAGES), ag.tensor(BOXES), 2).numpy()[order])
        assert f(ag.tensor(IMAGES), ag.zeros(0, 5), (2, 3)).shape == (0, 3, 2, 3)
        twice(lambda x: f(x, ag.tensor(BOXES[:4]), (2, 2)), IMAGES[:, :1])  # noqa: B023
        with pytest.raises(
            ValueError, match=rf"{f.__name__}: boxes begin with the index of an image, from 0 to 1, got 2"
        ):
            f(ag.tensor(IMAGES), ag.tensor(np.array([[2.0, 0, 0, 1, 1]])), 2)


# --- noise -----------------------------------------------------------------------------------------------------------


def test_dropped_connections_are_each_rows_own():
    x, w, b = np.ones((2000, 3)), np.ones((2, 3)), np.zeros(2)
    y = F.drop_connect_linear(ag.tensor(x), ag.tensor(w), ag.tensor(b), 0.25).numpy() * 0.75
    counts = np.bincount(np.rint(y).astype(int).ravel(), minlength=4) / 4000
    expected = [math.comb(3, k) * 0.75**k * 0.25 ** (3 - k) for k in range(4)]
    assert abs(counts - expected).max() < 4 * math.sqrt(0.25 / 4000)
    close(F.drop_connect_linear(*map(ag.tensor, (x, w, b)), 0.25, False), F.linear(*map(ag.tensor, (x, w, b))))
    dropped = F.drop_connect(ag.ones(100, 100), 0.25).numpy()
    assert set(np.unique(dropped)) == {0, np.float32(1 / 0.75)} and abs((dropped == 0).mean() - 0.25) < 0.02


@pytest.mark.parametrize("size", [1, 3, 4])
def test_dropped_blocks(size):
    y = F.drop_block2d(ag.ones(200, 2, 12, 12, dtype=ag.float64), 0.1, size).numpy()
    zero = y == 0
    assert 0.06 < zero.mean() < 0.12
    windows = np.lib.stride_tricks.sliding_window_view(zero, (size, size), (2, 3))
    covered = np.zeros_like(zero)
    for n, c, i, j in np.argwhere(windows.all((4, 5))):
        covered[n, c, i : i + size, j : j + size] = True
    assert (covered == zero).all()  # every zero lies in a whole block
    assert y.mean() == pytest.approx(1, abs=1e-6)
    assert F.drop_block2d(ag.ones(1, 1, 4, 4), 0.5, 2, False).numpy().all()


def test_layers_that_are_not_there():
    y = F.stochastic_depth(ag.ones(4000, 3, 2), 0.3).numpy()
    assert (y == y[:, :1, :1]).all() and abs((y[:, 0, 0] == 0).mean() - 0.3) < 4 * math.sqrt(0.21 / 4000)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    together = [F.stochastic_depth(ag.ones(5, 2), 0.5, "batch").numpy() for _ in range(40)]
    assert all(len(np.unique(t)) == 1 for t in together) and len({t[0, 0] for t in together}) == 2
    assert not F.stochastic_depth(ag.ones(5, 2), 1.0).numpy().any()
    assert F.stochastic_depth(ag.ones(5, 2), 1.0, training=False).numpy().all()


def test_gaussian_dropout_has_the_moments_of_dropout():
    y = F.gaussian_dropout(ag.ones(200, 200, dtype=ag.float64), 0.3).numpy()
    assert y.mean() == pytest.approx(1, abs=0.02) and y.var() == pytest.approx(3 / 7, rel=0.03)
    x = ag.ones(3)
    assert F.gaussian_dropout(x, 0.3, False) is x


def test_the_same_mask_at_every_step():
    y = F.variational_dropout(ag.ones(7, 50, 40), 0.4).numpy()
    assert (y == y[:1]).all() and abs((y[0] == 0).mean() - 0.4) < 4 * math.sqrt(0.24 / 2000)
    assert F.dropout_mask(ag.ones(7, 5, 4), 0.4, (0, -1)).shape == (1, 5, 1)
    x = leaf(normal((3, 2)))
    out = F.variational_dropout(x, 0.5)
    out.sum().backward()
    close(x.grad * x.detach(), out)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: F.gaussian_dropout(x, 1.0), "from 0 to below 1, but got 1.0"),
        (lambda x: F.stochastic_depth(x, 0.5, "column"), "mode must be 'row' or 'batch', got 'column'"),
        (lambda x: F.stochastic_depth(x, 1.5), "stochastic_depth: p is the probability to drop, from 0 to 1"),
        (lambda x: F.drop_block2d(x, 0.5, 2), r"drop_block2d: needs input \(N, C, H, W\)"),
    ],
)
def test_noise_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call(ag.ones(2, 3))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.convolve2d(x, x[:1, :, :2, :2], padding="full"),
        lambda x: F.fft_conv2d(x, x[:1, :, :2, :2], padding=1),
        lambda x: F.locally_connected2d(x, ag.ones(3, 3, 2, 2, 2, 2)),
        lambda x: F.tiled_conv2d(x, ag.ones(2, 1, 2, 2, 2, 2)),
        lambda x: F.pad_same(x, 2, 3),
        lambda x: F.l2_pool2d(x, 2),
        lambda x: F.sum_pool2d(x, 2),
        lambda x: F.roi_pool(x, BOXES[:1], 2),
        lambda x: F.roi_align(x, BOXES[:1], 2),
        lambda x: F.drop_block2d(x, 0.2, 2),
        lambda x: F.drop_connect_linear(x, ag.ones(3, 4)),
        lambda x: F.stochastic_depth(x, 0.2),
        lambda x: F.gaussian_dropout(x, 0.2),
        lambda x: F.variational_dropout(x, 0.2),
        lambda x: F.ultra_fast_sigmoid(x),
        lambda x: F.hard_sigmoid(x),
        lambda x: F.scaled_tanh(x),
        lambda x: F.tanh_linear(x),
        lambda x: F.maxout(x, 2),
        lambda x: F.squash(x),
        lambda x: F.hinge_loss(x, ag.ones(2, 2, 4, 4)),
        lambda x: F.contrastive_loss(x[0, 0], x[1, 0], ag.ones(4)),
        lambda x: F.sigmoid_focal_loss(x, ag.ones(2, 2, 4, 4)),
        lambda x: F.focal_loss(x, ag.zeros(2, 4, 4, dtype=ag.int64)),
        lambda x: F.dice_loss(ag.sigmoid(x), ag.zeros(2, 4, 4, dtype=ag.int64)),
        lambda x: F.style_loss(x, x + 1),
        lambda x: F.kl_sparsity_penalty(ag.sigmoid(x)),
        lambda x: F.contractive_penalty(lambda v: v * v, x[0, 0]),
        lambda x: F.sigmoid_contractive_penalty(ag.sigmoid(x[0, 0]), x[0, 1]),
        lambda x: F.nce_loss(x[0, 0], x[0, 1], ag.zeros(4, dtype=ag.int64), ag.full((4,), 0.25), 3),
        lambda x: F.hierarchical_softmax_loss(
            x[0, 0], x[0, 1, :3], ag.zeros(4, dtype=ag.int64), F.HuffmanTree.of([1] * 4)
        ),
    ],
)
def test_float32_stays(f):
    x = leaf(normal((2, 2, 4, 4)).astype("f"))
    y = f(x)
    (g,) = ag.gradient(y.sum(), [x])
    assert y.dtype == g.dtype == np.float32 and np.isfinite(g.numpy()).all()


def test_words_are_dropped_whole():
    ag.manual_seed(0)
    weight = ag.ones(5000, 3, requires_grad=True)
    y = F.embedding_dropout(weight, 0.3)
    rows = y.detach().numpy()
    assert (np.ptp(rows, axis=1) == 0).all() and np.allclose(np.unique(rows), [0, 1 / 0.7])
    assert abs((rows[:, 0] == 0).mean() - 0.3) < 0.03
    words = ag.tensor([7, 7, 9])
    found = F.embedding(words, y).detach().numpy()
    assert (found[0] == found[1]).all()
    y.sum().backward()
    np.testing.assert_array_equal(weight.grad.numpy(), rows)
    assert F.embedding_dropout(weight, 0.3, False) is weight


def test_units_are_kept_as_their_scores_say():
    ag.manual_seed(0)
    scores = ag.tensor(np.repeat([[-2.0, 0.0, 3.0]], 20000, 0), requires_grad=True)
    units = ag.ones(20000, 3, dtype=ag.float64, requires_grad=True)
    y = F.adaptive_dropout(units, scores, 1.5, -0.5)
    rate = 1 / (1 + np.exp(0.5 - 1.5 * np.array([-2.0, 0.0, 3.0])))
    assert set(np.unique(y.detach().numpy())) == {0, 1}
    np.testing.assert_allclose(y.detach().numpy().mean(0), rate, atol=0.015)
    y.sum().backward()
    assert scores.grad is None and (units.grad.numpy() == y.detach().numpy()).all()
    np.testing.assert_allclose(F.adaptive_dropout(units, scores, 1.5, -0.5, False)[0].detach().numpy(), rate)
    with pytest.raises(ValueError, match=r"a score for each unit, got \(2,\) and \(3,\)"):
        F.adaptive_dropout(ag.ones(2), ag.ones(3))
