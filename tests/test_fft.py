"""Fourier transforms: values and gradients beside PyTorch's, and the primitives' own properties."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.forward import Dual
from autograd_core.op import REGISTRY
from autograd_core.testing import check
from autograd_core.vmap import Batched

NORMS = [None, "backward", "ortho", "forward"]
LINES = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
REAL_ONLY = ("rfft", "ihfft")


def numbers(shape, kind="c", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "c" else x


def kinds(name):
    return "f" if name.startswith(REAL_ONLY) else "fc"


def plain(t):
    """The array of a PyTorch tensor."""
    return t.detach().resolve_conj().numpy()


def matches_torch(name, x, *args, **options):
    """Value, gradient and gradient of the gradient's square agree."""
    torch = pytest.importorskip("torch")
    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = getattr(ag.fft, name)(ours, *args, **options), getattr(torch.fft, name)(theirs, *args, **options)
    assert y.dtype == plain(expected).dtype
    np.testing.assert_allclose(y.detach().numpy(), plain(expected), atol=1e-12)
    v = numbers(y.shape, y.dtype.kind, seed=1)
    (g,) = ag.gradient(y * y, [ours], ag.tensor(v), create_graph=True)
    (e,) = torch.autograd.grad(expected * expected, theirs, torch.tensor(v), create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), plain(e), atol=1e-11)
    u = numbers(x.shape, x.dtype.kind, seed=2)
    (gg,) = ag.gradient(g, [ours], ag.tensor(u))
    (ee,) = torch.autograd.grad(e, theirs, torch.tensor(u))
    np.testing.assert_allclose(gg.numpy(), plain(ee), atol=1e-10)


@pytest.mark.parametrize("op", ["fft", "rfft", "irfft", "resized"])
def test_primitives(op):
    assert check(REGISTRY[op], rounds=4) > 0


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("length, n", [(5, None), (6, None), (5, 3), (5, 8), (6, 5), (4, 4), (2, 1), (2, 2)])
def test_along_one_axis(name, norm, length, n):
    for kind in kinds(name):
        matches_torch(name, numbers((3, length), kind), n, norm=norm)


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("dim", [0, 1, -1, -3])
def test_other_axes(name, dim):
    for kind in kinds(name):
        matches_torch(name, numbers((4, 3, 5), kind), dim=dim)
        matches_torch(name, numbers((4, 3, 5), kind), 4, dim, "ortho")


SEVERAL = [
    {}, {"s": (4, 3)}, {"dim": (0, 2)}, {"dim": (2, 0), "norm": "ortho"},
    {"s": (5, 2), "dim": (1, 0), "norm": "forward"}, {"s": (-1, 6), "dim": (0, 1)}, {"s": (3,), "dim": (1,)},
]  # fmt: skip


@pytest.mark.parametrize("name", [f"{line}{form}" for line in LINES for form in "n2"])
@pytest.mark.parametrize("options", SEVERAL, ids=repr)
def test_along_several_axes(name, options):
    for kind in kinds(name):
        matches_torch(name, numbers((3, 4, 5), kind), **options)


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("n", [None, 4, 7])
def test_as_in_numpy(name, n):
    for kind in kinds(name):
        x = numbers((2, 6), kind)
        y = getattr(ag.fft, name)(x, n)
        assert type(y) is np.ndarray
        np.testing.assert_allclose(y, getattr(np.fft, name)(x, n), atol=1e-12)
        np.testing.assert_allclose(getattr(ag.fft, name)(x, n, 0), getattr(np.fft, name)(x, n, 0), atol=1e-12)


def test_inverses():
    for n in (1, 2, 5, 8):
        x, z = ag.tensor(numbers((3, n), "f")), ag.tensor(numbers((3, n)))
        for norm in NORMS:
            back = {
                "fft": (z, ag.fft.ifft(ag.fft.fft(z, norm=norm), norm=norm)),
                "rfft": (x, ag.fft.irfft(ag.fft.rfft(x, norm=norm), n, norm=norm)),
                "ihfft": (x, ag.fft.hfft(ag.fft.ihfft(x, norm=norm), n, norm=norm)),
                "fftn": (z, ag.fft.ifftn(ag.fft.fftn(z, norm=norm), norm=norm)),
                "rfftn": (x, ag.fft.irfftn(ag.fft.rfftn(x, norm=norm), x.shape, norm=norm)),
                "ihfftn": (x, ag.fft.hfftn(ag.fft.ihfftn(x, norm=norm), x.shape, norm=norm)),
            }
            for before, after in back.values():
                np.testing.assert_allclose(after.numpy(), before.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    "given, result",
    [
        ("float32", "complex64"), ("float64", "complex128"), ("complex64", "complex64"), ("int64", "complex64"),
        ("bool", "complex64"),
    ],
)  # fmt: skip
def test_types(given, result):
    x = ag.tensor(np.ones(4, given))
    assert ag.fft.fft(x).dtype == ag.fft.ifftn(x).dtype == result
    if not given.startswith("complex"):
        assert ag.fft.rfft(x).dtype == ag.fft.ihfft(x).dtype == result
    assert ag.fft.irfft(x).dtype == ag.fft.hfft(x).dtype == np.zeros(1, result).real.dtype
    if given == "float32":
        leaf = x.requires_grad_()
        (g,) = ag.gradient((ag.fft.rfft(leaf).abs() ** 2).sum(), [leaf])
        assert g.dtype == np.float32


def test_along_no_axis():
    for y in (ag.fft.fftn(ag.tensor(2.0)), ag.fft.ifftn(ag.ones(2), dim=())):
        assert y.dtype == np.complex64 and (y.numpy() == y.numpy().real).all()


def test_half_precision():
    x = ag.ones(4, dtype=np.float16, requires_grad=True)
    y = ag.fft.fft(x)
    assert y.dtype == np.complex64 and ag.gradient(y.real.sum(), [x])[0].dtype == np.float16


def test_forward_mode_and_batches():
    x, u = numbers((3, 5), "f"), numbers((3, 5), "f", 1)
    y = ag.fft.rfft(Dual(x, u, 1), 7)
    np.testing.assert_allclose(y.tangent, np.fft.rfft(u, 7), atol=1e-12)
    z = ag.fft.irfftn(Dual(x + 0j, u + 0j, 1), (4, 6))
    np.testing.assert_allclose(z.tangent, np.fft.irfftn(u, (4, 6), (0, 1)), atol=1e-12)
    b = Batched(numbers((2, 3, 5)), 1)
    np.testing.assert_allclose(ag.fft.fft2(b, (2, 6)).batch, np.fft.fft2(b.batch, (2, 6), (1, 2)), atol=1e-12)
    np.testing.assert_allclose(ag.fft.fftshift(b, 0).batch, np.fft.fftshift(b.batch, 1))


@pytest.mark.parametrize("shape", [(4,), (5,), (3, 4), (1, 0)])
@pytest.mark.parametrize("dim", [None, 0, -1, (0,)])
def test_shifts(shape, dim):
    x = numbers(shape)
    for name in ("fftshift", "ifftshift"):
        ours = getattr(ag.fft, name)(ag.tensor(x), dim)
        np.testing.assert_array_equal(ours.numpy(), getattr(np.fft, name)(x, dim))
    t = ag.tensor(x, requires_grad=True)
    g = numbers(shape, seed=1)
    (gx,) = ag.gradient(ag.fft.fftshift(t, dim), [t], ag.tensor(g))
    np.testing.assert_array_equal(gx.numpy(), np.fft.ifftshift(g, dim))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n):
    for name in ("fftfreq", "rfftfreq"):
        f = getattr(ag.fft, name)(n, 0.25)
        assert f.dtype == np.float32
        np.testing.assert_allclose(f.numpy(), getattr(np.fft, name)(n, 0.25), rtol=1e-6)
        assert getattr(ag.fft, name)(n, dtype=np.float64, requires_grad=True).requires_grad


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda f, x: f.rfft(x + 0j), TypeError, "rfft: expected real numbers, got complex128"),
        (lambda f, x: f.ihfftn(x + 0j), TypeError, "ihfftn: expected real numbers"),
        (lambda f, x: f.fft(x, norm="no"), ValueError, "fft: norm must be 'backward', 'ortho' or 'forward', got 'no'"),
        (lambda f, x: f.fft(x, 0), ValueError, "fft: a transform needs at least one data point, got 0"),
        (lambda f, x: f.fft(x[:, :0]), ValueError, "fft: a transform needs at least one data point, got 0"),
        (lambda f, x: f.irfft(x[:, :1]), ValueError, "irfft: a transform needs at least one data point, got 0"),
        (lambda f, x: f.fft(x, 2.5), TypeError, "fft: lengths must be integers, got 2.5"),
        (lambda f, x: f.fft(x, dim=2), IndexError, "fft: dim 2 is out of range"),
        (lambda f, x: f.fft(ag.tensor(1.0)), ValueError, "fft: a single number has no axis"),
        (lambda f, x: f.fftn(x, (2, 2, 2)), ValueError, "fftn: s has 3 lengths, but the tensor only 2 axes"),
        (lambda f, x: f.fftn(x, (2, 2), (0,)), ValueError, "fftn: s has 2 lengths for 1 axes"),
        (lambda f, x: f.fft2(x, dim=(0, 0)), ValueError, r"fft2: dim \(0, 0\) names an axis twice"),
        (lambda f, x: f.fft2(x[0]), IndexError, "fft2: dim -2 is out of range"),
        (lambda f, x: f.rfftn(ag.tensor(1.0)), ValueError, "rfftn: needs at least one axis"),
        (lambda f, x: f.fftfreq(0), ValueError, "fftfreq: a transform needs at least one data point"),
        (lambda f, x: f.fftfreq(4, 0), ValueError, "fftfreq: the distance between samples"),
        (lambda f, x: f.fftshift(x, 5), IndexError, "fftshift: dim 5 is out of range"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(ag.fft, ag.tensor(np.ones((2, 3))))
