"""Convolutions as users call them: values and gradients against PyTorch, arguments, and what is refused."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops import convolution as c

rng = np.random.default_rng(0)
draw = lambda *shape: rng.standard_normal(shape)

CONV = [
    ("conv1d", (2, 4, 9), (6, 4, 3), {}),
    ("conv1d", (4, 9), (6, 2, 3), {"groups": 2, "stride": 2, "padding": 1}),
    ("conv1d", (2, 3, 10), (5, 3, 4), {"padding": "same"}),
    ("conv2d", (2, 3, 7, 8), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ("conv2d", (2, 4, 9, 9), (8, 1, 3, 3), {"groups": 4, "padding": 1}),
    ("conv2d", (1, 3, 9, 9), (4, 3, 2, 3), {"padding": "same", "dilation": (1, 2)}),
    ("conv2d", (2, 16, 6, 6), (20, 16, 1, 1), {}),
    ("conv2d", (2, 16, 6, 6), (20, 16, 1, 1), {"stride": 2}),
    ("conv2d", (1, 3, 6, 6), (4, 3, 3, 3), {"padding": "valid"}),
    ("conv2d", (3, 6, 6), (4, 3, 3, 3), {"dilation": 2}),
    ("conv3d", (2, 2, 5, 4, 6), (3, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": 1}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "output_padding": 1, "padding": 1}),
    ("conv_transpose2d", (2, 4, 5, 4), (4, 3, 3, 2), {"stride": 2, "output_padding": (1, 0), "groups": 2}),
    ("conv_transpose2d", (4, 5, 4), (4, 3, 3, 3), {"dilation": 2, "padding": 1}),
    ("conv_transpose3d", (1, 2, 3, 3, 2), (2, 3, 2, 2, 2), {"stride": (2, 1, 2)}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"dilation": 3, "output_padding": 2}),
    ("conv_transpose2d", (2, 4, 5, 3), (4, 3, 3, 2), {"dilation": (4, 3), "output_padding": (3, 1), "padding": (2, 3)}),
    (
        "conv_transpose2d",
        (1, 4, 5, 3),
        (4, 3, 2, 2),
        {"stride": (2, 1), "dilation": 4, "output_padding": (3, 2), "padding": (1, 2)},
    ),
]


def outputs(name, w, options):
    return w[1] * options.get("groups", 1) if "transpose" in name else w[0]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name, x, w, options", CONV)
def test_values_and_gradients_equal_pytorch(name, x, w, options, bias):
    torch = pytest.importorskip("torch")
    arrays = [draw(*x), draw(*w)] + ([draw(outputs(name, w, options))] if bias else [])
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = getattr(ag, name)(*ours, **options), getattr(torch.nn.functional, name)(*theirs, **options)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = draw(*y.shape)
    first = ag.gradient((y**2 * ag.tensor(g)).sum(), ours, create_graph=True)
    expected = torch.autograd.grad((z**2 * torch.tensor(g)).sum(), theirs, create_graph=True)
    for a, b in zip(first, expected):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-9)
    second = ag.gradient(sum((a**2).sum() for a in first), ours)
    expected = torch.autograd.grad(sum((b**2).sum() for b in expected), theirs)
    for a, b in zip(second, expected):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-8, atol=1e-8)


def test_a_small_convolution_by_hand():
    x, w = ag.tensor([[[1.0, 2.0, 3.0, 4.0]]]), ag.tensor([[[1.0, 0.0, -1.0]]])
    assert ag.conv1d(x, w).tolist() == [[[-2.0, -2.0]]]
    assert ag.conv1d(x, w, ag.tensor([10.0]), padding="same").tolist() == [[[8.0, 8.0, 8.0, 13.0]]]
    assert ag.conv_transpose1d(x, w, stride=2).shape == (1, 1, 9)


@pytest.mark.parametrize("size", [3, 16])
def test_results_lie_in_the_order_of_their_axes(size):
    """As PyTorch's do, whether few entries are NumPy's or many a kernel's: a view of them is none of a copy."""
    x = ag.randn(2, 3, size, size, requires_grad=True)
    up, down = ag.randn(3, 2, 2, 2), ag.randn(2, 3, 2, 2)
    for y in (ag.conv2d(x, down), ag.conv2d(x, down, padding=1), ag.conv_transpose2d(x, up, padding=1)):
        assert y.is_contiguous() and y.view(2, -1).numel() == y.numel()


def test_no_images():
    x, w = ag.tensor(draw(0, 3, 6, 6), requires_grad=True), ag.tensor(draw(4, 3, 3, 3), requires_grad=True)
    y = ag.conv2d(x, w)
    assert y.shape == (0, 4, 4, 4)
    gx, gw = ag.gradient(y.sum(), [x, w])
    assert gx.shape == x.shape and np.array_equal(gw.numpy(), np.zeros(w.shape))


def test_the_transpose_is_the_adjoint():
    x, w, how = draw(2, 3, 8, 7), draw(5, 3, 3, 2), {"stride": 2, "padding": 1}
    y = c.conv2d(x, w, **how)
    g = draw(*y.shape)
    back = c.conv_transpose2d(g, w, output_padding=(1, 1), **how)
    assert back.shape == x.shape
    assert np.isclose((g * y).sum(), (x * back).sum())


def test_a_transpose_that_reaches_beyond_the_last_stride_by_hand():
    x, w = ag.tensor([[[1.0, 2.0]]]), ag.tensor([[[1.0, 10.0]]])
    y = lambda padding: ag.conv_transpose1d(x, w, dilation=4, output_padding=3, padding=padding).tolist()
    assert y(0) == [[[1.0, 2.0, 0.0, 0.0, 10.0, 20.0, 0.0, 0.0, 0.0]]]
    assert y(1) == [[[2.0, 0.0, 0.0, 10.0, 20.0, 0.0, 0.0]]]
    assert y(3) == [[[0.0, 10.0, 20.0]]]


ENDS = [  # input, weight, stride, padding, dilation, groups, output_padding
    ((17, 12, 1, 16), (12, 8, 1, 3), (3, 2), (1, 0), 3, 3, 2),  # all that is made lies before the result
    ((2, 4, 1), (4, 3, 1), 1, 1, 3, 2, 2),
    ((1, 2, 1), (2, 3, 1), 1, 2, 5, 1, 4),
    ((2, 4, 2, 2, 1), (4, 3, 3, 3, 1), (2, 1, 1), (2, 0, 1), (1, 1, 3), 2, (0, 0, 2)),
    ((0, 4, 2), (4, 3, 1), 1, 1, 1, 2, 0),  # no images, and those without pixels
    ((0, 2, 2, 2), (2, 3, 3, 2), 1, 2, (1, 2), 1, 0),
    ((0, 2, 1, 2), (2, 3, 1, 1), (1, 3), (1, 2), (3, 1), 1, (2, 0)),
    ((0, 4, 0, 5), (4, 3, 3, 3), 1, 0, 1, 1, 0),
    ((0, 4, 0, 0), (4, 3, 3, 4), 1, 0, (2, 1), 2, 0),
]


@pytest.mark.parametrize("x, w, stride, padding, dilation, groups, more", ENDS)
def test_transposes_of_which_little_or_nothing_is_left(x, w, stride, padding, dilation, groups, more):
    torch = pytest.importorskip("torch")
    name, arrays = f"conv_transpose{len(w) - 2}d", [draw(*x), draw(*w), draw(w[1] * groups)]
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "output_padding": more}
    y, e = getattr(ag, name)(*ours, **how), getattr(torch.nn.functional, name)(*theirs, **how)
    assert tuple(y.shape) == tuple(e.shape)
    np.testing.assert_allclose(y.detach(), e.detach().numpy(), rtol=1e-12)
    gs, es = ag.gradient((y**2).sum(), ours), torch.autograd.grad((e**2).sum(), theirs)
    for a, b in zip(gs, es, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-11, atol=1e-12)


def test_complex_numbers():
    x, w = draw(1, 2, 6) + 1j * draw(1, 2, 6), draw(3, 2, 3) + 1j * draw(3, 2, 3)
    parts = [c.conv1d(a, b) for a in (x.real, x.imag) for b in (w.real, w.imag)]
    np.testing.assert_allclose(c.conv1d(x, w), parts[0] - parts[3] + 1j * (parts[1] + parts[2]))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_batches(name, axes):
    f = lambda x, w: getattr(ag, name)(x, w, stride=2, groups=2)
    x, w = draw(3, 2, 4, 6, 6), draw(3, 4, 2, 3, 3)
    x, w = (v if a == 0 else v[0] for v, a in zip((x, w), axes))
    y = ag.vmap(f, in_dims=axes)(ag.tensor(x), ag.tensor(w))
    for k in range(3):
        alone = f(x[k] if axes[0] == 0 else x, w[k] if axes[1] == 0 else w)
        np.testing.assert_allclose(y.numpy()[k], alone, rtol=1e-10, atol=1e-10)


ERRORS = [
    (
        lambda: c.conv2d(draw(1, 3, 5, 5), draw(4, 2, 3, 3)),
        ValueError,
        "conv2d: input has 3 channels where weight needs 2",
    ),
    (lambda: c.conv2d(draw(1, 3, 5, 5), draw(4, 3, 6, 3)), ValueError, "conv2d: the kernel, which spans"),
    (lambda: c.conv2d(draw(1, 4, 5, 5), draw(3, 2, 3, 3), groups=2), ValueError, "conv2d: groups must divide the 3"),
    (lambda: c.conv2d(draw(5, 5), draw(3, 2, 3, 3)), ValueError, "conv2d: input must be"),
    (lambda: c.conv2d([1.0], draw(3, 2, 3, 3)), TypeError, "conv2d: input must be a tensor"),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 3), draw(2)), ValueError, "conv1d: bias must have shape"),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 3), stride=0), ValueError, "conv1d: stride must be at least 1"),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 3), stride=1.5), TypeError, "conv1d: stride must be an integer"),
    (
        lambda: c.conv2d(draw(1, 2, 5, 5), draw(3, 2, 3, 3), dilation=(1, 2, 3)),
        ValueError,
        "dilation must be one integer",
    ),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 3), padding="full"), ValueError, "padding must be numbers, 'valid' or"),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 3), stride=2, padding="same"), ValueError, "needs stride 1"),
    (lambda: c.conv1d(draw(1, 2, 5), draw(3, 2, 0)), ValueError, "weight has no entries"),
    (lambda: c.conv_transpose1d(draw(1, 3, 5), draw(2, 3, 3)), ValueError, "input has 3 channels where weight needs 2"),
    (lambda: c.conv_transpose1d(draw(1, 3, 5), draw(3, 3, 3), output_padding=1), ValueError, "output_padding must be"),
    (lambda: c.conv_transpose1d(draw(1, 3, 1), draw(3, 3, 3), padding=2), ValueError, "give less padding"),
    (lambda: c.conv_transpose1d(draw(1, 3, 2), draw(3, 3, 1), padding=1), ValueError, r"sizes \(0,\); give less"),
    (lambda: c.conv_transpose1d(draw(0, 3, 2), draw(3, 3, 1), padding=2), ValueError, r"sizes \(-2,\); give less"),
    (lambda: c.conv_transpose1d(draw(1, 3, 0), draw(3, 3, 3)), ValueError, "images without pixels"),
]


@pytest.mark.parametrize("call, kind, text", ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_say_what_is_wrong(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
