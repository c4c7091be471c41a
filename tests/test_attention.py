"""Scaled dot-product attention: against PyTorch, and what must hold on its own."""

import math
import tracemalloc

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
    np.testing.assert_allclose(y, expected, atol={"float16": 1e-3, "float32": 1e-5, "float64": 1e-12}[dtype])


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


@pytest.mark.parametrize("lead, length, keys", [((2, 3), 5, 7), ((), 150, 200), ((2,), 64, 130)])
@pytest.mark.parametrize("causal", [False, True])
def test_what_dropout_keeps(lead, length, keys, causal):
    q, k = RNG.standard_normal((*lead, length, 4)), RNG.standard_normal((*lead, keys, 4))
    v = np.broadcast_to(np.eye(keys), (*lead, keys, keys))  # so that the result is the weights
    for p in (0.1, 0.5):
        ag.manual_seed(5)
        before = ag.get_rng_state()
        all_of_them, left = attention(q, k, v, is_causal=causal), attention(q, k, v, None, p, causal)
        kept = left != 0
        np.testing.assert_allclose(left, np.where(kept, all_of_them / (1 - p), 0), rtol=1e-12)
        count = (all_of_them != 0).sum()
        assert abs(kept.sum() / count - (1 - p)) < 4 * math.sqrt(p * (1 - p) / count)
        words = 4 * int(ag.get_rng_state()[2] - before[2])
        assert words * 2 >= math.prod(lead) * length * keys
        assert (attention(q, k, v, None, p, causal) != left).any()
    assert not attention(q, k, v, dropout_p=1.0).any()


def test_heads_and_blocks_drop_on_their_own():
    x = np.zeros((4, 128, 3))
    kept = attention(x, x, np.broadcast_to(np.eye(128), (4, 128, 128)), dropout_p=0.5) != 0
    parts = [h[i : i + 64, k : k + 64].ravel() for h in kept for i in (0, 64) for k in (0, 64)]
    agreement = np.corrcoef(np.array(parts)) - np.eye(len(parts))
    assert abs(agreement).max() < 5 / 64


@pytest.mark.parametrize("shape", [(2, 70, 140), (70, 140), (2, 1, 140), (140,), (70, 1), (1, 1)])
@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_equal_differences_with_dropout_and_of_masks(shape, p, causal):
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((2, n, 3)) for n in (70, 140, 140)] + [rng.standard_normal(shape)]
    arrays = arrays[:3] if causal else arrays
    seed = rng.standard_normal((2, 70, 3))

    def run(*xs):
        ag.manual_seed(2)
        return (attention(*xs, dropout_p=p, is_causal=causal) * seed).sum()

    leaves = [ag.tensor(a, requires_grad=True) for a in arrays]
    run(*leaves).backward()
    for i, leaf in enumerate(leaves):
        step = 1e-6 * rng.standard_normal(leaf.shape)
        one, two = ([a + sign * step if j == i else a for j, a in enumerate(arrays)] for sign in (1, -1))
        assert leaf.grad.shape == leaf.shape
        np.testing.assert_allclose((leaf.grad.numpy() * step).sum(), (run(*one) - run(*two)) / 2, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("kind", ["dropout", "mask", "keys"])
def test_long_sequences_take_no_matrix_of_all_scores(kind):
    length = 2048
    x = ag.tensor(RNG.standard_normal((1, length, 8)).astype("f"), requires_grad=True)
    shape = {"dropout": (0,), "mask": (length, length), "keys": (1, length)}[kind]
    mask = None if kind == "dropout" else ag.tensor(RNG.standard_normal(shape).astype("f"), requires_grad=True)

    def run():
        x.grad = None
        if mask is not None:
            mask.grad = None
        attention(x, x, x, mask, 0.1).sum().backward()

    run()
    x.grad = None
    if mask is not None:
        mask.grad = None
    matrix = 4 * length * length
    tracemalloc.start()
    try:
        run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A mask of that size is turned around once, and its gradient has its size.
    assert peak < (2.5 if kind == "mask" else 0.25) * matrix


def test_dropout_under_transforms():
    q, m, u = RNG.standard_normal((3, 5, 4)), RNG.standard_normal((5, 5)), RNG.standard_normal((5, 4))

    def run(q, mask=None):
        ag.manual_seed(3)
        return (attention(q, q * 0.5, q + 1, mask, 0.4) ** 2).sum()

    for f in (lambda t: run(q[0] + t * u), lambda t: run(q[0], t * m)):
        slope, second = ag.grad(f), ag.grad(ag.grad(f))
        difference = lambda f: (f(0.3 + 1e-6) - f(0.3 - 1e-6)) / 2e-6
        np.testing.assert_allclose(ag.jvp(f, (0.3,), (1.0,))[1], difference(f), rtol=1e-7)
        np.testing.assert_allclose([slope(0.3), second(0.3)], [difference(f), difference(slope)], rtol=1e-7)
    drop = lambda q: attention(q, q, q, dropout_p=0.4)
    thrice = np.stack([q, q, q])
    same, different = (ag.vmap(drop, randomness=r)(thrice) for r in ("same", "different"))
    np.testing.assert_array_equal(same[1:], same[:2])
    assert (different[1:] != different[:2]).any((1, 2, 3)).all()
    with pytest.raises(RuntimeError, match="random draw inside vmap"):
        ag.vmap(drop)(thrice)


def test_compiled_dropout_is_drawn_anew_and_follows_the_seed():
    x = ag.tensor(RNG.standard_normal((2, 70, 8)).astype("f"))

    def step(x):
        w = x.detach().requires_grad_()
        loss = (attention(w, w * 0.5, w * 2, dropout_p=0.3) ** 2).sum()
        return loss, ag.gradient(loss, [w])[0]

    compiled, found = ag.compile(step), []
    for run in (step, compiled):
        ag.manual_seed(4)
        found.append([[y.detach().numpy().copy() for y in run(x)] for _ in range(5)])
    assert compiled.replays()
    assert len({float(loss) for loss, _ in found[0]}) == 5
    for eager, replayed in zip(*found, strict=True):
        for a, b in zip(eager, replayed, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


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
