"""Scaled dot-product attention: against PyTorch, and what must hold on its own."""

import math

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.ops.attention import scaled_dot_product_attention as attention

RNG = np.random.default_rng(0)
BOOL, FLOAT = RNG.random((2, 1, 5, 7)) < 0.6, RNG.standard_normal((5, 7))
BOOL[0, 0, 2], BOOL[1, 0, :, 3] = False, False

# the shapes of query, key and value, and what is asked for
CASES = [
    ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6), {}),
    ((5, 4), (7, 4), (7, 4), {}),
    ((3, 5, 4), (3, 5, 4), (3, 5, 4), {"is_causal": True}),
    ((2, 5, 4), (2, 7, 4), (2, 7, 4), {"is_causal": True}),
    ((2, 7, 4), (2, 5, 4), (2, 5, 4), {"is_causal": True, "scale": 0.3}),
    ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6), {"attn_mask": BOOL}),
    ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6), {"attn_mask": FLOAT, "scale": 1.0}),
    ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6), {"attn_mask": BOOL[:, :, :1]}),
    ((2, 6, 5, 4), (2, 2, 7, 4), (2, 2, 7, 6), {"enable_gqa": True}),
    ((2, 6, 130, 4), (2, 6, 150, 4), (2, 6, 150, 4), {"is_causal": True}),
    ((2, 1, 5, 4), (2, 3, 7, 4), (1, 3, 7, 6), {}),
]


@pytest.mark.parametrize("q, k, v, options", CASES)
def test_attention_is_that_of_pytorch(q, k, v, options):
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel

    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(s) for s in (q, k, v)]
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    others = [torch.tensor(a, requires_grad=True) for a in arrays]
    mask = {"attn_mask": torch.tensor(options["attn_mask"])} if "attn_mask" in options else {}
    y = attention(*ours, **options)
    with sdpa_kernel(SDPBackend.MATH):
        z = torch.nn.functional.scaled_dot_product_attention(*others, **{**options, **mask})
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-11, atol=1e-13)
    seed = rng.standard_normal(y.shape)
    second = y.value.size < 2000
    gs = ag.gradient(y, ours, ag.tensor(seed), create_graph=second)
    hs = torch.autograd.grad(z, others, torch.tensor(seed), create_graph=second)
    for g, h in zip(gs, hs, strict=True):
        np.testing.assert_allclose(g.value, h.detach().numpy(), rtol=1e-10, atol=1e-12)
    if second:
        sum((g**3).sum() for g in gs).backward()
        sum((h**3).sum() for h in hs).backward()
        for a, b in zip(ours, others, strict=True):
            np.testing.assert_allclose(a.grad.value, b.grad.numpy(), rtol=1e-9, atol=1e-11)


def formula(q, k, v, mask=0.0):
    s = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]) + mask
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("length", [3, 150])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_attention_is_the_formula(length, dtype):
    q, k, v = (RNG.standard_normal((2, length, 8)).astype(dtype) for _ in range(3))
    expected = formula(*(x.astype("d") for x in (q, k, v)))
    y = attention(q, k, v)
    assert y.dtype == dtype and isinstance(y, np.ndarray)
    np.testing.assert_allclose(y, expected, atol={"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype])


def test_who_may_look_at_nothing_gets_nothing():
    q, k, v = (ag.tensor(RNG.standard_normal((4, 3)), requires_grad=True) for _ in range(3))
    y = attention(q, k, v, np.array([[True], [False], [True], [True]]))
    y.sum().backward()
    np.testing.assert_array_equal(y.value[1], 0)
    np.testing.assert_array_equal(q.grad.value[1], 0)
    assert all(np.isfinite(x.grad.value).all() for x in (q, k, v))


def test_gradients_reach_a_mask_of_numbers():
    torch = pytest.importorskip("torch")
    arrays = [RNG.standard_normal(s) for s in ((2, 4, 3), (2, 5, 3), (2, 5, 3), (4, 5))]
    ours, others = (
        [ag.tensor(a, requires_grad=True) for a in arrays],
        [torch.tensor(a, requires_grad=True) for a in arrays],
    )
    (attention(*ours) ** 2).sum().backward()
    (torch.nn.functional.scaled_dot_product_attention(*others) ** 2).sum().backward()
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(a.grad.value, b.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_dropout_is_reproducible_and_right_in_the_mean():
    q, k, v = (RNG.standard_normal((2, 20, 4)) for _ in range(3))
    ag.manual_seed(3)
    a, b = attention(q, k, v, dropout_p=0.5), attention(q, k, v, dropout_p=0.5)
    ag.manual_seed(3)
    np.testing.assert_array_equal(a, attention(q, k, v, dropout_p=0.5))
    assert not np.allclose(a, b)
    mean = np.mean([attention(q, k, v, dropout_p=0.2) for _ in range(400)], axis=0)
    np.testing.assert_allclose(mean, attention(q, k, v), atol=0.15)


def test_transforms():
    q, k, v, u = (RNG.standard_normal((3, 5, 4)) for _ in range(4))
    run = lambda q: attention(q, k[0], v[0], is_causal=True)
    np.testing.assert_allclose(ag.vmap(run)(q), np.stack([run(x) for x in q]), rtol=1e-12)
    masks = RNG.random((3, 5, 5)) < 0.7
    both = ag.vmap(lambda q, m: attention(q, k[0], v[0], m))(ag.tensor(q), ag.tensor(masks))
    np.testing.assert_allclose(
        both.numpy(), np.stack([attention(x, k[0], v[0], m) for x, m in zip(q, masks)]), rtol=1e-12
    )
    _, tangent = ag.jvp(run, (q[0],), (u[0],))
    np.testing.assert_allclose(
        tangent, (run(q[0] + 1e-5 * u[0]) - run(q[0] - 1e-5 * u[0])) / 2e-5, rtol=1e-6, atol=1e-9
    )
    f = lambda t: (run(q[0] + t * u[0]) ** 2).sum()
    second, third = ag.grad(ag.grad(f)), ag.grad(ag.grad(ag.grad(f)))
    np.testing.assert_allclose(third(0.3), (second(0.3 + 1e-5) - second(0.3 - 1e-5)) / 2e-5, rtol=1e-6)
    g = lambda t: (attention(q, k, v, t * masks.astype("d")) ** 2).sum()
    np.testing.assert_allclose(ag.jvp(g, (0.5,), (1.0,))[1], (g(0.5 + 1e-6) - g(0.5 - 1e-6)) / 2e-6, rtol=1e-6)


X = np.zeros((2, 3, 4))
MISUSES = [
    (lambda: attention(X, X[..., :3], X), ValueError, r"needed are \(..., l, e\).* key is \(2, 3, 3\)"),
    (lambda: attention(X, X, X[:, :2]), ValueError, r"value is \(2, 2, 4\)"),
    (lambda: attention(X, X.astype("f"), X), TypeError, "of one floating-point type, got float64, float32 and float64"),
    (
        lambda: attention(X, X, X, np.ones((2, 2), bool)),
        ValueError,
        r"attn_mask .* broadcast to \(2, 3, 3\), got \(2, 2\)",
    ),
    (lambda: attention(X, X, X, np.ones((3, 3), int)), ValueError, "attn_mask must be of truth values or floats"),
    (lambda: attention(X, X, X, np.ones((3, 3), bool), is_causal=True), ValueError, "not both"),
    (lambda: attention(np.zeros((6, 3, 4)), X, X), ValueError, "leading axes do not broadcast.* enable_gqa"),
    (lambda: attention(np.zeros((5, 3, 4)), X, X, enable_gqa=True), ValueError, "must be a multiple"),
    (lambda: attention(X, X, X, dropout_p=2.0), ValueError, "dropout"),
]


@pytest.mark.parametrize("call, kind, text", MISUSES)
def test_misuse(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
