"""Interpolation, sampling on grids and shuffled pixels against PyTorch and against what they mean."""

import itertools

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops import grids
from autograd_core.ops import resampling as F
from autograd_core.tensor import Tensor

RNG = np.random.default_rng(11)
SIZES = [1, 2, 5, 7, 13]


def compare(f, g, *arrays, second=True, rtol=1e-9):
    """Values, gradients and second gradients of ours and theirs."""
    torch = pytest.importorskip("torch")
    ours_in = [Tensor(a, requires_grad=True) for a in arrays]
    theirs_in = [torch.tensor(a, requires_grad=True) for a in arrays]
    ours, theirs = f(*ours_in), g(*theirs_in)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-10)
    weights = np.cos(np.arange(theirs.numel())).reshape(theirs.shape)
    gs = ag.gradient((ours**3 * ag.tensor(weights)).sum(), ours_in, create_graph=second)
    es = torch.autograd.grad((theirs**3 * torch.tensor(weights)).sum(), theirs_in, create_graph=second)
    for a, b in zip(gs, es):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-7, atol=1e-9)
    return gs, es, ours_in, theirs_in


def interpolated(x, second=False, **options):
    torch = pytest.importorskip("torch")
    theirs = lambda t: torch.nn.functional.interpolate(t, **options)
    gs, es, ours_in, theirs_in = compare(lambda t: F.interpolate(t, **options), theirs, x, second=second)
    if second:
        (a,) = ag.gradient((gs[0] ** 2).sum(), ours_in)
        (b,) = torch.autograd.grad((es[0] ** 2).sum(), theirs_in)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-7, atol=1e-9)


BY_AXES = {1: ["nearest", "nearest-exact", "linear", "area"], 3: ["nearest", "nearest-exact", "trilinear", "area"]}
BY_AXES[2] = ["nearest", "nearest-exact", "bilinear", "bicubic", "area"]
MODES = [(d, mode) for d, modes in BY_AXES.items() for mode in modes]


@pytest.mark.parametrize("d, mode", MODES)
def test_interpolate_to_a_size(d, mode):
    x = RNG.standard_normal((2, 2, *(5, 4, 7)[-d:]))
    for k, size in enumerate(SIZES):
        aligned = [False, True, None] if "linear" in mode or mode == "bicubic" else [None]
        for align in aligned:
            interpolated(x, size=size, mode=mode, align_corners=align, second=k == 2)
    interpolated(x, size=tuple(range(3, 3 + d)), mode=mode)


@pytest.mark.parametrize("d, mode", MODES)
def test_interpolate_by_a_factor(d, mode):
    x = RNG.standard_normal((1, 2, *(5, 6, 7)[-d:]))
    for factor in (2, 0.5, 1.7, 0.61, 1):
        for recompute in (None, True):
            interpolated(x, scale_factor=factor, mode=mode, recompute_scale_factor=recompute)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias(mode):
    x = RNG.standard_normal((2, 2, 11, 17))
    for size, align in itertools.product([(3, 5), (11, 4), (20, 8), (1, 1), (22, 34)], [False, True]):
        interpolated(x, size=size, mode=mode, align_corners=align, antialias=True)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_nearest_entry_is_pytorchs(mode, dtype):
    torch = pytest.importorskip("torch")
    for n, m in itertools.product([3, 7, 10, 49, 100], [1, 2, 3, 9, 30, 77, 113]):
        x = np.arange(n, dtype=dtype).reshape(1, 1, n)
        e = torch.nn.functional.interpolate(torch.tensor(x), m, mode=mode)
        np.testing.assert_array_equal(F.interpolate(x, m, mode=mode), e.numpy(), f"{n} to {m}")


def test_interpolation_by_hand():
    x = np.array([[[0.0, 1.0, 4.0]]])
    np.testing.assert_allclose(F.interpolate(x, 5, mode="linear", align_corners=True)[0, 0], [0, 0.5, 1, 2.5, 4])
    np.testing.assert_allclose(F.interpolate(x, 6, mode="linear")[0, 0], [0, 0.25, 0.75, 1.75, 3.25, 4])
    np.testing.assert_array_equal(F.interpolate(x, 6)[0, 0], [0, 0, 1, 1, 4, 4])
    y = RNG.standard_normal((2, 3, 4, 6))
    np.testing.assert_allclose(F.interpolate(y, (2, 3), mode="area"), y.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)))
    np.testing.assert_array_equal(F.upsample_nearest(y, scale_factor=2), y.repeat(2, 2).repeat(2, 3))
    corners = F.upsample_bilinear(y, (9, 9))[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, y[..., [0, 0, -1, -1], [0, -1, 0, -1]])
    np.testing.assert_array_equal(F.upsample(y, (5, 5)), F.interpolate(y, (5, 5)))
    assert F.interpolate(np.ones((1, 1, 3), np.uint8), 6).dtype == np.uint8


def test_a_weight_of_zero_takes_nothing():
    x = np.array([[[1.0, np.nan, 3.0]]])
    y = F.interpolate(x, 5, mode="linear", align_corners=True)[0, 0]
    np.testing.assert_array_equal(np.isnan(y), [False, True, True, True, False])


GRIDS = list(itertools.product(["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [False, True]))


@pytest.mark.parametrize("mode, padding, align", GRIDS)
def test_grid_sample(mode, padding, align):
    torch = pytest.importorskip("torch")
    for sizes, points in [((5, 7), (3, 4)), ((4, 3, 5), (2, 3, 2)), ((1, 3), (4, 2))]:
        if mode == "bicubic" and len(sizes) == 3:
            continue
        x = RNG.standard_normal((2, 3, *sizes))
        grid = RNG.uniform(-1.6, 1.6, (2, *points, len(sizes)))
        ours = lambda x, g: grids.grid_sample(x, g, mode, padding, align)
        theirs = lambda x, g: torch.nn.functional.grid_sample(x, g, mode, padding, align)
        compare(ours, theirs, x, grid, second=False)


def test_grid_sample_to_second_order():
    x, grid = RNG.standard_normal((1, 2, 4, 5)), RNG.uniform(-0.9, 0.9, (1, 2, 3, 2))
    for mode in ("bilinear", "bicubic"):
        f = lambda x, g: grids.grid_sample(x, g, mode, "zeros", False)  # noqa: B023
        assert ag.gradgradcheck(f, (Tensor(x, requires_grad=True), Tensor(grid, requires_grad=True)))


def test_grid_sample_of_corners_and_nan():
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    grid = np.array([[[[-1, -1], [1, -1], [-1, 1], [1, 1], [0, 0], [np.nan, np.nan], [9, 9]]]], float)
    y = grids.grid_sample(x, grid, align_corners=True)
    np.testing.assert_array_equal(y[0, 0, 0], [0, 2, 3, 5, 2.5, 0, 0])
    np.testing.assert_array_equal(grids.grid_sampler(x, grid, 0, 0, True), y)


@pytest.mark.parametrize("mode, padding, align", GRIDS)
def test_slopes_at_the_entries_themselves(mode, padding, align):
    """Where weights have a kink: as in PyTorch, in two and in three dimensions."""
    torch = pytest.importorskip("torch")
    for d in (2, 3) if mode != "bicubic" else (2,):
        x = RNG.standard_normal((1, 1, *(3 if align else 4,) * d))  # coordinates of their entries are not rounded
        grid = torch.nn.functional.affine_grid(torch.eye(d, d + 1).double()[None], x.shape, align).numpy()
        ours = lambda x, g: grids.grid_sample(x, g, mode, padding, align)
        theirs = lambda x, g: torch.nn.functional.grid_sample(x, g, mode, padding, align)
        compare(ours, theirs, x, grid, second=False)


@pytest.mark.parametrize("mode, padding, align", GRIDS)
def test_a_point_that_is_no_number_is_the_first_entry_or_outside(mode, padding, align):
    for d in (2, 3) if mode != "bicubic" else (2,):
        x = ag.tensor(RNG.standard_normal((1, 2, *(3,) * d)), requires_grad=True)
        grid = ag.tensor(np.full((1, *(1,) * (d - 1), 40, d), np.nan), requires_grad=True)
        y = grids.grid_sample(x, grid, mode, padding, align)
        first = x.detach()[0, :, *(0,) * d].numpy()[:, None] if padding != "zeros" else np.zeros((2, 1))
        np.testing.assert_allclose(y.detach().numpy().reshape(2, -1), np.broadcast_to(first, (2, 40)), rtol=1e-12)
        y.sum().backward()
        assert not grid.grad.numpy().any()


@pytest.mark.parametrize("far", [np.inf, -np.inf, 1e10, -1e10, 1e30])
@pytest.mark.parametrize(
    "sizes, mode", [((3, 3), "bilinear"), ((3, 3), "nearest"), ((3, 3), "bicubic"), ((3,) * 3, "bilinear")]
)
def test_points_far_out_are_reflected_to_the_same_entry_on_every_size(sizes, mode, far):
    """As in PyTorch to a number, and the gradient too."""
    found = []
    for count in (3, 200):
        grid = np.zeros((1, *(1,) * (len(sizes) - 1), count, len(sizes)), np.float32)
        grid[..., 0] = far
        x = ag.tensor(np.arange(3.0 ** len(sizes)).reshape(1, 1, *sizes).astype("f"), requires_grad=True)
        points = ag.tensor(grid, requires_grad=True)
        y = grids.grid_sample(x, points, mode, "reflection", False)
        y.sum().backward()
        slopes = [
            points.grad.numpy().reshape(count, -1)[0].tolist(),
            (x.grad.numpy() / count).ravel().round(5).tolist(),
        ]
        assert np.isfinite(y.detach().numpy()).all() and len(set(y.detach().numpy().ravel().tolist())) == 1
        found.append((y.detach().numpy().ravel()[0], *slopes))
    assert found[0] == found[1]


def test_the_grid_of_the_identity_changes_nothing():
    x = RNG.standard_normal((2, 3, 4, 5))
    for align in (False, True):
        theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3))
        np.testing.assert_allclose(
            grids.grid_sample(x, grids.affine_grid(theta, x.shape, align), align_corners=align), x
        )


@pytest.mark.parametrize("align", [False, True])
def test_affine_grid(align):
    torch = pytest.importorskip("torch")
    for size in [(2, 3, 4, 5), (2, 1, 2 if align else 1, 3), (2, 3, 2, 4, 3)]:
        theta = RNG.standard_normal((2, len(size) - 2, len(size) - 1))
        theirs = lambda t: torch.nn.functional.affine_grid(t, size, align)  # noqa: B023
        compare(lambda t: grids.affine_grid(t, size, align), theirs, theta, second=False)  # noqa: B023


def test_shuffles():
    torch = pytest.importorskip("torch")
    for shape in [(2, 8, 3, 4), (8, 4, 6), (2, 1, 12, 2, 2)]:
        x = RNG.standard_normal(shape)
        compare(lambda t: F.pixel_shuffle(t, 2), lambda t: torch.pixel_shuffle(t, 2), x, second=False)
        if shape[-1] % 2 == 0 == shape[-2] % 2:
            compare(lambda t: F.pixel_unshuffle(t, 2), lambda t: torch.pixel_unshuffle(t, 2), x, second=False)
    x = RNG.standard_normal((2, 6, 3, 4))
    compare(lambda t: F.channel_shuffle(t, 3), lambda t: torch.channel_shuffle(t, 3), x, second=False)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x[:, :4], 2), 2), x[:, :4])


ALONE = {
    "pixel_shuffle by 1": (F.pixel_shuffle, (2, 4, 3, 2), 1),
    "pixel_shuffle of single pixels": (F.pixel_shuffle, (1, 4, 1, 1), 2),
    "pixel_unshuffle by 1": (F.pixel_unshuffle, (2, 4, 3, 2), 1),
    "pixel_unshuffle to single pixels": (F.pixel_unshuffle, (1, 1, 2, 2), 2),
    "channel_shuffle in one group": (F.channel_shuffle, (2, 4, 3, 2), 1),
    "channel_shuffle in groups of one": (F.channel_shuffle, (2, 4, 3, 2), 4),
}


@pytest.mark.parametrize("case", ALONE)
def test_shuffles_that_move_nothing_are_copies(case):
    f, shape, number = ALONE[case]
    x = ag.tensor(RNG.standard_normal(shape))
    before = x.numpy().copy()
    y = f(x, number)
    np.testing.assert_array_equal(np.ravel(y), np.ravel(before))
    y.add_(1)
    np.testing.assert_array_equal(x, before)


NOTHING = [
    ((0, 5, 8, 9), (0, 5, 5, 2)), ((2, 0, 8, 9), (2, 5, 5, 2)), ((2, 3, 4, 5), (2, 0, 5, 2)),
    ((0, 5, 8, 9, 3), (0, 5, 5, 2, 3)), ((2, 0, 8, 9, 3), (2, 5, 5, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("shape, points", NOTHING)
def test_grid_sample_of_no_images_no_channels_and_no_points(shape, points, mode):
    torch = pytest.importorskip("torch")
    if mode == "bicubic" and len(shape) == 5:
        pytest.skip("there is no such mode")
    x, grid = RNG.standard_normal(shape), RNG.uniform(-1, 1, points)
    for padding, align in itertools.product(grids.PADDINGS, (False, True)):
        ours = lambda x, g: grids.grid_sample(x, g, mode, padding, align)  # noqa: B023
        theirs = lambda x, g: torch.nn.functional.grid_sample(x, g, mode, padding, align)  # noqa: B023
        compare(ours, theirs, x, grid, second=False)
    with pytest.raises(ValueError, match="no entries to sample"):
        grids.grid_sample(x[:, :, :0], grid, mode)


def test_batches_and_forward_mode():
    x, grid = RNG.standard_normal((3, 1, 2, 4, 5)), RNG.uniform(-1, 1, (3, 1, 3, 3, 2))
    f = lambda t, g: F.interpolate(grids.grid_sample(t, g, align_corners=False), (5, 4), mode="bicubic")
    y = ag.vmap(f)(ag.tensor(x), ag.tensor(grid))
    np.testing.assert_allclose(y.numpy(), np.stack([f(a, b) for a, b in zip(x, grid)]), rtol=1e-9, atol=1e-12)
    u = RNG.standard_normal(x[0].shape)
    _, tangent = ag.jvp(lambda t: f(t, ag.tensor(grid[0])), (ag.tensor(x[0]),), (ag.tensor(u),))
    np.testing.assert_allclose(tangent.numpy(), f(u, grid[0]), rtol=1e-9, atol=1e-12)


IMAGE = np.zeros((1, 2, 5, 5))
ERRORS = [
    (lambda: F.interpolate(IMAGE), ValueError, "^interpolate: give either size or scale_factor"),
    (lambda: F.interpolate(IMAGE, 2, 2), ValueError, "^interpolate: give either size or scale_factor"),
    (lambda: F.interpolate(IMAGE, 2, mode="cubic"), ValueError, "^interpolate: mode must be one of nearest"),
    (lambda: F.interpolate(IMAGE, 2, mode="linear"), ValueError, "^interpolate: mode 'linear' needs 3 axes"),
    (lambda: F.interpolate(IMAGE[0, 0], 2), ValueError, "^interpolate: mode 'nearest' needs 3 to 5 axes"),
    (lambda: F.interpolate(IMAGE, 2, align_corners=True), ValueError, "^interpolate: align_corners has no meaning"),
    (lambda: F.interpolate(IMAGE, 2, antialias=True), ValueError, "^interpolate: antialias is for modes"),
    (lambda: F.interpolate(IMAGE, 0), ValueError, "^interpolate: sizes must be positive"),
    (lambda: F.interpolate(IMAGE, (1, 2, 3)), ValueError, "^interpolate: size must be a number or 2 numbers"),
    (lambda: F.interpolate(IMAGE, 2, recompute_scale_factor=True), ValueError, "^interpolate: recompute_scale_factor"),
    (lambda: F.interpolate(IMAGE.astype(int), 2, mode="area"), TypeError, "^interpolate: mode 'area' needs floating"),
    (lambda: grids.grid_sample(IMAGE, np.zeros((1, 2, 2, 3))), ValueError, "^grid_sample: needs input"),
    (
        lambda: grids.grid_sample(IMAGE, np.zeros((1, 2, 2, 2)), "linear"),
        ValueError,
        "^grid_sample: needs mode bilinear",
    ),
    (
        lambda: grids.grid_sample(IMAGE, np.zeros((1, 2, 2, 2), "f")),
        TypeError,
        "^grid_sample: input and grid must have one",
    ),
    (lambda: grids.affine_grid(np.zeros((1, 2, 2)), (1, 2, 3, 4)), ValueError, "^affine_grid: needs theta"),
    (lambda: F.pixel_shuffle(IMAGE, 2), ValueError, "^pixel_shuffle: 2 channels do not divide"),
    (lambda: F.pixel_unshuffle(IMAGE, 2), ValueError, "^pixel_unshuffle: images of 5 x 5"),
    (lambda: F.channel_shuffle(IMAGE, 3), ValueError, "^channel_shuffle: needs"),
    (lambda: grids.grid_sampler(IMAGE, IMAGE, 7, 0, True), ValueError, "^grid_sampler: modes are numbers"),
]


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
