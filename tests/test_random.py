"""Random draws: bits, distributions, reproducibility, gradients and errors."""

import copy
import math
import pickle
import threading

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core import random
from autograd_core.forward import Dual
from autograd_core.kernels import random as kernel
from autograd_core.tape import using
from autograd_core.vmap import Batched

METHODS = random.METHODS
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]


@pytest.fixture(autouse=True)
def seeded():
    with random.fork_rng():
        yield random.manual_seed(20)


def distance(sample, cdf):
    """Kolmogorov's: how far the share of the sample below x is from cdf(x); above 1.95 once in a thousand times."""
    x = np.sort(np.ravel(sample)).astype(np.float64)
    n, f = x.size, cdf(x)
    return max((np.arange(1, n + 1) / n - f).max(), (f - np.arange(n) / n).max()) * math.sqrt(n)


def chi_square(counts, shares):
    """How far counts are from what shares predict, in deviations of the statistic from its mean."""
    expected = np.sum(counts) * np.asarray(shares)
    freedom = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2 * freedom)


normal_cdf = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))
NUMPY = np.random.Philox


# --- bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [(0, 0), (1, 0), (2**64 - 1, 2**63 + 5), (12345, 67890)])
@pytest.mark.parametrize("block", [0, 1, 12345678901, 2**64 - 3])
def test_words_are_philox(key, block):
    source = NUMPY(key=np.array(key, np.uint64), counter=np.array([block, 0, 0, 0], np.uint64))
    expected = source.random_raw(8)
    counters = [block + 1, block + 2]
    ours = [w for c in counters for w in kernel.philox(key, (c & kernel.WORD, c >> 64, 0, 0))]
    assert ours == expected.tolist() == kernel.words((*key, block), 8).tolist()
    np.testing.assert_array_equal(kernel.words((*key, block), 3000)[:8], expected)


def test_philox_known_answers():
    """From the authors' test vectors."""
    assert kernel.philox((0, 0), (0, 0, 0, 0)) == [
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B,
    ]  # fmt: skip
    ones = kernel.WORD
    assert kernel.philox((ones, ones), (ones, ones, ones, ones)) == [
        0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0,
    ]  # fmt: skip


def test_uniform_recipes_to_the_bit():
    w = kernel.words((7, 0, 0), 4)
    random.manual_seed(7)
    expected = [((int(v) >> s & 0xFFFFFFFF) >> 8) / 2**24 for v in w for s in (0, 32)]
    assert random.rand(8).tolist() == expected
    random.manual_seed(7)
    assert random.rand(4, dtype=np.float64).tolist() == [(int(v) >> 11) / 2**53 for v in w]


@pytest.mark.parametrize(
    "low, high", [(0, 10), (-5, 2**32 - 5), (-(2**62), 2**62 + 1), (-(2**63), 2**63 - 1), (-(2**63), 2**63)]
)
def test_integer_recipe_to_the_bit(low, high):
    random.manual_seed(7)
    ours = random.drawn(random.draw_integers, None, low=low, high=high, shape=(50,), dtype=np.dtype(np.int64)).tolist()
    span = high - low
    if span <= 2**32:
        expected = [low + (int(v) * span >> 64) for v in kernel.words((7, 0, 0), 50)]
    else:
        pairs = kernel.words((7, 0, 0), 100).tolist()
        expected = [low + ((a << 64 | b) * span >> 128) for a, b in zip(pairs[0::2], pairs[1::2])]
    assert ours == expected


# --- reproducibility -------------------------------------------------------------------------------------------------

DRAWS = {
    "rand": lambda n, **o: random.rand(n, **o),
    "rand64": lambda n, **o: random.rand(n, dtype=np.float64, **o),
    "rand16": lambda n, **o: random.rand(n, dtype=np.float16, **o),
    "randn": lambda n, **o: random.randn(n, **o),
    "randn64": lambda n, **o: random.randn(n, dtype=np.float64, **o),
    "randn_complex": lambda n, **o: random.randn(n, dtype=np.complex64, **o),
    "randint": lambda n, **o: random.randint(-3, 1000, (n,), **o),
    "randint_wide": lambda n, **o: random.randint(-(2**61), 2**62, (n,), **o),
    "bernoulli": lambda n, **o: random.bernoulli(ag.full((n,), 0.3), **o),
    "exponential": lambda n, **o: METHODS["exponential_"](ag.zeros(n), **o),
    "poisson": lambda n, **o: random.poisson(ag.full((n,), 3.0), **o),
    "randperm": lambda n, **o: random.randperm(n, **o),
}


@pytest.mark.parametrize("name", DRAWS)
def test_same_seed_same_numbers(name):
    draw = DRAWS[name]
    first, second = draw(50), draw(50)
    random.manual_seed(20)
    again, forked = draw(50), draw(50, generator=random.Generator(20))
    other = draw(50, generator=random.Generator(21))
    assert first.tolist() == again.tolist() == forked.tolist()
    assert first.tolist() != second.tolist() and first.tolist() != other.tolist()


@pytest.mark.parametrize("name", DRAWS)
def test_state_is_saved_and_restored(name):
    generator = random.Generator(5)
    DRAWS[name](7, generator=generator)
    state = generator.get_state()
    first = DRAWS[name](20, generator=generator)
    assert not np.array_equal(state, generator.get_state())
    restored = random.Generator(6).set_state(state)
    for other in (pickle.loads(pickle.dumps(restored)), restored):
        assert DRAWS[name](20, generator=other).tolist() == first.tolist()
    generator.set_state(state)
    clone = copy.deepcopy(generator)
    assert DRAWS[name](20, generator=clone).tolist() == DRAWS[name](20, generator=generator).tolist() == first.tolist()


@pytest.mark.parametrize("name", [n for n in DRAWS if n not in ("randperm",)])
def test_longer_draws_begin_like_shorter_ones(name):
    long = DRAWS[name](3 * kernel.CHUNK + 5, generator=random.Generator(1)).numpy()
    for n in (0, 1, 9, 4097, kernel.CHUNK, kernel.CHUNK + 1):
        short = DRAWS[name](n, generator=random.Generator(1)).numpy()
        np.testing.assert_allclose(short, long[:n], rtol=3e-7)  # vectors' logarithms may differ


@pytest.mark.parametrize(
    "name, block", [("rand", 8), ("rand64", 4), ("randint", 4), ("randint_wide", 2), ("bernoulli", 4)]
)
def test_draws_that_fill_their_blocks_join(name, block):
    generator = random.Generator(1)
    parts = [DRAWS[name](n, generator=generator).numpy() for n in (block, 3 * block, 5)]
    whole = DRAWS[name](4 * block + 5, generator=random.Generator(1)).numpy()
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_shape_does_not_matter():
    a, b = random.rand(4, 6, generator=random.Generator(1)), random.rand(24, generator=random.Generator(1))
    np.testing.assert_array_equal(a.numpy().ravel(), b.numpy())


def test_fork_rng():
    with random.fork_rng():
        inside = random.rand(3)
    assert random.rand(3).tolist() == inside.tolist()
    with random.fork_rng(enabled=False):
        random.rand(3)
    assert random.rand(3).tolist() != inside.tolist()
    state = random.get_rng_state()
    x = random.rand(2)
    random.set_rng_state(state)
    assert random.rand(2).tolist() == x.tolist()


def test_seeds():
    assert random.manual_seed(-1) is random.default_generator and random.initial_seed() == 2**64 - 1
    assert random.Generator(2**64 - 1).initial_seed() == 2**64 - 1
    assert random.Generator().initial_seed() == random.Generator("cpu").initial_seed() == 67280421310721
    assert random.seed() == random.initial_seed() != random.seed()
    assert random.manual_seed(np.int64(3)).initial_seed() == 3 and "seed=3" in repr(random.default_generator)


def test_states_are_copies():
    generator = random.Generator(3)
    state = generator.get_state()
    state[:] = 9
    assert generator.initial_seed() == 3
    generator.set_state(state)
    state[:] = 1
    assert generator.initial_seed() == 9


def test_threads_share_no_bits():
    generator, found = random.Generator(3), []
    work = lambda: found.extend(random.randint(2**62, (8,), generator=generator).tolist() for _ in range(200))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    alone = random.Generator(3)
    expected = [random.randint(2**62, (8,), generator=alone).tolist() for _ in range(800)]
    assert sorted(found) == sorted(expected)


# --- distributions ---------------------------------------------------------------------------------------------------

N = 40000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype):
    x = random.rand(N, dtype=dtype).numpy()
    assert x.dtype == dtype and 0 <= x.min() and x.max() < 1
    assert distance(x, lambda x: x) < 1.95
    assert abs(x.mean() - 0.5) < 4 / math.sqrt(12 * N)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    x = random.randn(N, dtype=dtype).numpy().astype(np.float64)
    assert distance(x, normal_cdf) < 1.95
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < 4 * math.sqrt(variance / N), power
    even, odd = x[0::2], x[1::2]
    assert abs((even * odd).mean()) < 4 / math.sqrt(N / 2)
    assert abs((even**2 * odd**2).mean() - 1) < 4 * math.sqrt(8 * 2 / N)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_float_type(dtype):
    u, z = random.rand(N, dtype=dtype).numpy(), random.randn(N, dtype=dtype).numpy()
    assert u.dtype == z.dtype == dtype
    assert (np.maximum(u.real, u.imag) < 1).all() and (np.minimum(u.real, u.imag) >= 0).all()
    assert abs(np.mean(np.abs(z.astype(complex)) ** 2) - 1) < 0.03 and abs(np.mean(z.astype(complex))) < 0.03
    if np.iscomplexobj(z):
        assert abs(np.mean(z**2)) < 0.03, "the parts are independent and equally large"
    assert random.rand(0, 3, dtype=dtype).shape == random.randn(0, dtype=dtype, size=(0, 3)).shape == (0, 3)


def test_extreme_bits_stay_in_range():
    for w in (np.zeros(4, np.uint64), np.full(4, kernel.WORD, np.uint64)):
        for (name, bytes_), (_, make) in kernel.RECIPES.items():
            x = make(w)
            assert np.isfinite(x).all() and x.dtype.itemsize == bytes_, (name, bytes_)
            assert name != "uniform" or (0 <= x).all() and (x < 1).all()
            assert name != "exponential" or (x >= 0).all()


@pytest.mark.parametrize("draw", [random.rand, random.randn])
def test_consecutive_draws_are_independent(draw):
    draws = np.stack([draw(2000).numpy() for _ in range(6)]).astype(np.float64)
    correlations = np.corrcoef(draws) - np.eye(6)
    assert np.abs(correlations).max() < 4.5 / math.sqrt(2000)
    flat = draws.ravel() - draws.mean()
    for lag in (1, 2, 3, 4, 7, 8):
        assert abs((flat[lag:] * flat[:-lag]).mean() / flat.var()) < 4 / math.sqrt(flat.size)


def test_neighbouring_seeds_are_independent():
    x = np.stack([random.randn(4000, generator=random.Generator(s)).numpy() for s in range(8)])
    assert np.abs(np.corrcoef(x) - np.eye(8)).max() < 4.5 / math.sqrt(4000)


@pytest.mark.parametrize("low, high", [(0, 7), (-3, 3), (2**40, 2**40 + 11), (5, 6)])
def test_integers(low, high):
    x = random.randint(low, high, (N,))
    assert x.dtype == np.int64
    counts = np.bincount(x.numpy() - low, minlength=high - low)
    assert counts.size == high - low
    if counts.size > 1:
        assert abs(chi_square(counts, np.full(counts.size, 1 / counts.size))) < 4


def test_wide_integers():
    x = random.randint(-(2**63), 2**63 - 1, (N,)).numpy().astype(np.float64)
    assert distance(x, lambda x: (x + 2.0**63) / 2.0**64) < 1.95
    third = random.randint(0, 3 * 2**61, (N,)).numpy().astype(np.float64)
    assert distance(third, lambda x: x / (3 * 2.0**61)) < 1.95


def test_randint_arguments():
    assert random.randint(3, (2, 2)).shape == random.randint(0, 3, (2, 2)).shape == (2, 2)
    assert random.randint(high=3, low=0, size=(2, 2)).shape == (2, 2)
    assert random.randint(3, size=5).shape == (5,) and random.randint(3, ()).shape == ()
    assert random.randint(256, (2,), dtype=np.uint8).dtype == np.uint8
    assert random.randint(3, (2,), dtype=float).dtype == np.float32
    assert set(random.randint(2, (50,), dtype=bool).tolist()) == {False, True}
    like = random.randint_like(ag.zeros(2, 3), 2, 4)
    assert like.dtype == np.float32 and like.shape == (2, 3) and set(np.ravel(like.tolist())) <= {2.0, 3.0}
    assert random.randint_like(ag.zeros(2), 4, dtype=int).dtype == np.int64


def test_permutations():
    for n in (0, 1, 2, 10, 1000):
        assert sorted(random.randperm(n).tolist()) == list(range(n))
    counts = {}
    for _ in range(3000):
        key = tuple(random.randperm(3, dtype=np.int32).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 6 and chi_square(np.array(list(counts.values())), np.full(6, 1 / 6)) < 4


def test_bernoulli():
    p = ag.tensor([0.0, 1.0, 0.25, 0.5])
    x = random.bernoulli(p.reshape(4, 1) + ag.zeros(4, N)).numpy()
    assert x.dtype == np.float32 and (x[0] == 0).all() and (x[1] == 1).all() and set(np.unique(x)) == {0, 1}
    for row, share in ((2, 0.25), (3, 0.5)):
        assert abs(x[row].mean() - share) < 4 * math.sqrt(share * (1 - share) / N)
    counts = random.bernoulli(ag.zeros(3, N, dtype=np.int64), 0.25)
    assert counts.dtype == np.int64 and abs(counts.numpy().mean() - 0.25) < 0.01
    assert random.bernoulli(ag.zeros(2, 2), ag.tensor([0.0, 1.0])).tolist() == [[0, 1], [0, 1]]
    assert not random.bernoulli(ag.full((2,), 0.5, requires_grad=True)).requires_grad


@pytest.mark.parametrize("rate", [0.0, 0.5, 3.0, 40.0])
def test_poisson(rate):
    x = random.poisson(ag.full((N,), rate, dtype=np.float64)).numpy()
    assert abs(x.mean() - rate) <= 4 * math.sqrt(rate / N) and abs(x.var() - rate) <= 0.05 * rate
    assert (x == np.floor(x)).all()


@pytest.mark.parametrize("weights", [[1.0, 2.0, 0.0, 5.0], [1e-30, 3e-30, 0.0], [1e300, 0.0, 2e300], [0.0, 0.0, 1.0]])
def test_multinomial_with_replacement(weights):
    x = random.multinomial(ag.tensor(weights, dtype=np.float64), N, replacement=True).numpy()
    counts = np.bincount(x, minlength=len(weights))
    chosen = np.array(weights) > 0
    assert x.dtype == np.int64 and (counts[~chosen] == 0).all()
    if chosen.sum() > 1:
        assert abs(chi_square(counts[chosen], np.array(weights)[chosen] / sum(weights))) < 4


def test_multinomial_without_replacement():
    weights = ag.tensor([1.0, 2.0, 0.0, 5.0]) + ag.zeros(8000, 4)
    x = random.multinomial(weights, 3).numpy()
    assert x.shape == (8000, 3) and (np.sort(x, axis=1) == [0, 1, 3]).all()
    first = np.bincount(x[:, 0], minlength=4)
    assert first[2] == 0 and abs(chi_square(first[[0, 1, 3]], np.array([1, 2, 5]) / 8)) < 4
    second = np.bincount(x[x[:, 0] == 3][:, 1], minlength=4)
    assert abs(chi_square(second[[0, 1]], np.array([1, 2]) / 3)) < 4
    tiny = ag.tensor([1e-320, 0.0, 1.0], dtype=np.float64)
    assert sorted(random.multinomial(tiny, 2).tolist()) == [0, 2]
    assert random.multinomial(ag.ones(0, 3), 2).shape == (0, 2) and random.multinomial(ag.ones(3), 2).shape == (2,)


FILLS = {
    "uniform_": ((2, 5), lambda x: (x - 2) / 3),
    "normal_": ((1, 2), lambda x: normal_cdf((x - 1) / 2)),
    "log_normal_": ((0.5, 0.25), lambda x: normal_cdf((np.log(x) - 0.5) / 0.25)),
    "exponential_": ((2,), lambda x: 1 - np.exp(-2 * x)),
    "cauchy_": ((1, 2), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi),
}


@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fills(name, dtype):
    args, cdf = FILLS[name]
    x = ag.zeros(N, dtype=dtype)
    before = x.numpy()
    assert METHODS[name](x, *args) is x and x.numpy() is before and x.dtype == dtype
    assert distance(before, cdf) < 1.95
    assert METHODS[name](ag.zeros(0, 2)).shape == (0, 2)


def test_fills_with_whole_numbers():
    x = ag.zeros(N, dtype=np.int64)
    assert set(METHODS["bernoulli_"](x).tolist()) == {0, 1}
    assert set(METHODS["bernoulli_"](x, ag.full((N,), 1.0)).tolist()) == {1}
    assert set(METHODS["random_"](x, 3).tolist()) == {0, 1, 2} and set(METHODS["random_"](x, 5, 7).tolist()) == {5, 6}
    assert METHODS["random_"](x).numpy().min() >= 0 and x.numpy().max() > 2**60
    assert set(METHODS["random_"](ag.zeros(N, dtype=np.uint8)).tolist()) == set(range(256))
    assert set(METHODS["random_"](ag.zeros(99, dtype=bool)).tolist()) == {False, True}
    floats = METHODS["random_"](ag.zeros(99)).numpy()
    assert (floats == np.floor(floats)).all() and floats.max() <= 2**24


def test_fills_write_through_views_and_history():
    x = ag.zeros(2, 3)
    METHODS["normal_"](x[0])
    assert (x.numpy()[0] != 0).all() and (x.numpy()[1] == 0).all()
    w = ag.ones(3, requires_grad=True)
    y = w * 2
    METHODS["uniform_"](y)
    assert ag.gradient((y + w).sum(), [w])[0].tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="leaf that requires gradients"):
        METHODS["uniform_"](w)
    with ag.no_grad():
        METHODS["uniform_"](w)


# --- as functions of parameters --------------------------------------------------------------------------------------


def test_normal_with_parameters():
    mean, std = ag.tensor([1.0, -2.0], requires_grad=True), ag.tensor([[0.5], [3.0]], requires_grad=True)
    noise = random.randn(2, 2, generator=random.Generator(1)).numpy()
    y = random.normal(mean, std, generator=random.Generator(1))
    np.testing.assert_allclose(y.detach().numpy(), mean.detach().numpy() + std.detach().numpy() * noise, rtol=1e-6)
    g_mean, g_std = ag.gradient(y.sum(), [mean, std])
    np.testing.assert_allclose(g_mean.numpy(), [2, 2])
    np.testing.assert_allclose(g_std.numpy(), noise.sum(1, keepdims=True), rtol=1e-6)


def test_normal_forms():
    assert random.normal(0.0, 2.0, (3, 2)).shape == (3, 2) and random.normal(size=4).dtype == np.float32
    assert random.normal(ag.zeros(3)).shape == random.normal(2, ag.ones(3)).shape == (3,)
    assert random.normal(ag.zeros(3, dtype=np.int64)).dtype == np.float32
    assert random.normal(ag.zeros(3, dtype=np.float64), 1.0).dtype == np.float64
    assert random.normal(0.0, 1.0, (2,), requires_grad=True).is_leaf
    x = random.normal(5.0, 0.1, (N,)).numpy()
    assert abs(x.mean() - 5) < 0.01 and abs(x.std() - 0.1) < 0.005


def test_like():
    for make in (random.rand_like, random.randn_like):
        x = make(ag.zeros(2, 3, dtype=np.float64))
        assert x.shape == (2, 3) and x.dtype == np.float64
        assert make(ag.zeros(2, dtype=int), dtype=float).dtype == np.float32
        assert make(Batched(np.zeros((5, 2)), 1)).shape == (2,)


def test_options():
    for make in (random.rand, random.randn):
        x = make((2, 3), dtype=np.float64, requires_grad=True, device="cpu", generator=random.Generator(1))
        assert x.requires_grad and x.shape == make(2, 3).shape == make(size=(2, 3)).shape == (2, 3)
    assert random.randperm(3, device="cpu").dtype == np.int64


def test_inside_transforms():
    p = Batched(np.full((4, 500), 0.5), 1)
    y = random.bernoulli(p)
    assert isinstance(y, Batched) and y.shape == (500,) and len({tuple(row) for row in y.batch.tolist()}) == 4
    d = Dual(np.full(3, 0.5), np.ones(3), 1)
    assert not isinstance(random.bernoulli(d), Dual) and random.bernoulli(d).shape == (3,)
    assert random.multinomial(Batched(np.ones((4, 3)), 1), 2).batch.shape == (4, 2)
    assert random.poisson(p).batch.shape == (4, 500)
    z = random.normal(d, 2.0)
    np.testing.assert_allclose(z.tangent, np.ones(3))
    METHODS["uniform_"](p)
    assert len({tuple(row) for row in p.batch.tolist()}) == 1, "no batched arguments, the same for each member"


@pytest.mark.parametrize("name", DRAWS)
def test_whoever_watches_can_replay(name):
    seen = []
    generator = random.Generator(3)
    before = generator.get_state()
    watch = lambda *call: seen.append(call)
    with using(observers=(watch,)):
        y = DRAWS[name](40, generator=generator)
    ((op, args, params, result),) = [s for s in seen if s[0].mutates == ("state",)]
    assert args[0] is generator.state and (result is y or name == "exponential")
    after = generator.get_state()
    generator.set_state(before)
    again = op.forward(*[a.value if isinstance(a, ag.Tensor) else a for a in args], **params)
    np.testing.assert_array_equal(again, result.value)
    np.testing.assert_array_equal(generator.get_state(), after)


ERRORS = [
    (lambda: random.rand(), TypeError, "rand: needs sizes"),
    (lambda: random.rand(-1), ValueError, "rand: sizes cannot be negative"),
    (lambda: random.randn(10**15), MemoryError, "randn: "),
    (lambda: random.rand(2, dtype=int), TypeError, "rand: needs a floating-point dtype, got int64"),
    (lambda: random.rand_like(ag.zeros(2, dtype=int)), TypeError, "rand_like: needs a floating-point dtype"),
    (lambda: random.rand(2, device="cuda"), ValueError, "rand: device 'cuda' is not known"),
    (lambda: random.rand(2, generator=3), TypeError, "generator must be a Generator, got int"),
    (lambda: random.randint(3), TypeError, "randint: needs a size"),
    (lambda: random.randint(0, 10), TypeError, "randint: needs a size"),
    (lambda: random.randint(3, 3, (2,)), ValueError, "randint: low must be less than high, got 3 and 3"),
    (lambda: random.randint(2.5, (2,)), TypeError, "randint: low and high must be integers"),
    (lambda: random.randint(0, 300, (2,), dtype="uint8"), ValueError, "randint: 0 to 299 does not fit uint8"),
    (lambda: random.randint(0, 2**24 + 2, (2,), dtype="float32"), ValueError, "randint: .*16777217 does not fit"),
    (lambda: random.randint(3, (2,), requires_grad=True), TypeError, "randint: only floating-point"),
    (lambda: random.randperm(3, requires_grad=True), TypeError, "randperm: only floating-point"),
    (lambda: random.randperm(-1), ValueError, "randperm: sizes cannot be negative"),
    (lambda: random.randperm(300, dtype="uint8"), ValueError, "randperm: 299 does not fit uint8"),
    (lambda: random.normal(0.0, 1.0), TypeError, "normal: give a size"),
    (lambda: random.normal(ag.zeros(2), 1.0, (2,)), TypeError, "normal: give a size"),
    (lambda: random.normal(0.0, -1.0, (2,)), ValueError, "normal: std must not be negative"),
    (lambda: random.normal(0.0, ag.tensor([1.0, -1.0])), ValueError, "normal: std must not be negative"),
    (lambda: random.normal(ag.zeros(2), ag.ones(3)), ValueError, r"normal: mean \(2,\) and std \(3,\) do not"),
    (lambda: random.bernoulli(ag.tensor([2.0])), ValueError, "bernoulli: probabilities must be from 0 to 1"),
    (lambda: random.bernoulli(ag.tensor([float("nan")])), ValueError, "bernoulli: probabilities must be from 0 to 1"),
    (lambda: random.bernoulli(ag.tensor([1])), TypeError, "bernoulli: needs a floating-point tensor, got int64"),
    (lambda: random.poisson(ag.tensor([-1.0])), ValueError, "poisson: rates must be from 0"),
    (lambda: random.poisson(ag.tensor([1])), TypeError, "poisson: needs a floating-point tensor"),
    (lambda: random.multinomial(ag.ones(3), 0), ValueError, "multinomial: num_samples must be positive, got 0"),
    (lambda: random.multinomial(ag.ones(3), 4), ValueError, "multinomial: num_samples asks for 4 places.*only 3"),
    (lambda: random.multinomial(ag.tensor([1.0, 0, 1]), 3), ValueError, "multinomial: .*only 2 of positive weight"),
    (lambda: random.multinomial(ag.zeros(2), 1, True), ValueError, "multinomial: a row has no positive weight"),
    (lambda: random.multinomial(ag.tensor([-1.0, 2]), 1), ValueError, "multinomial: weights must be finite"),
    (lambda: random.multinomial(ag.tensor([float("inf"), 2]), 1), ValueError, "multinomial: weights must be finite"),
    (lambda: random.multinomial(ag.ones(0), 1), ValueError, "multinomial: "),
    (lambda: random.multinomial(ag.ones(2, 2, 2), 1), ValueError, "multinomial: expected one row of weights"),
    (lambda: random.multinomial(ag.tensor([1, 2]), 1), TypeError, "multinomial: needs a floating-point tensor"),
    (lambda: METHODS["uniform_"](ag.zeros(2, dtype=int)), TypeError, "uniform_: needs a floating-point tensor"),
    (lambda: METHODS["uniform_"](ag.zeros(2), 2, 1), ValueError, "uniform_: from_ must not exceed to, got 2 and 1"),
    (lambda: METHODS["normal_"](ag.zeros(2), 0, -1), ValueError, "normal_: std must not be negative"),
    (lambda: METHODS["exponential_"](ag.zeros(2), 0), ValueError, "exponential_: the rate must be positive"),
    (lambda: METHODS["log_normal_"](ag.zeros(2), 0, 0), ValueError, "log_normal_: std must be positive"),
    (lambda: METHODS["cauchy_"](ag.zeros(2), 0, 0), ValueError, "cauchy_: sigma must be positive"),
    (lambda: METHODS["random_"](ag.zeros(2, dtype=np.int8), 200), ValueError, "random_: 0 to 199 does not fit int8"),
    (lambda: METHODS["random_"](ag.zeros(2), 3, 3), ValueError, "random_: low must be less than high"),
    (lambda: random.manual_seed(1.5), TypeError, "manual_seed: the seed must be an integer, got 1.5"),
    (lambda: random.manual_seed(2**64), ValueError, "manual_seed: the seed must be an integer of 64 bits"),
    (lambda: random.Generator(device="cuda"), ValueError, "Generator: device 'cuda' is not known"),
    (lambda: random.set_rng_state(np.zeros(3)), ValueError, r"set_state: expected three uint64 words.*\(3,\) float64"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors(call, error, message):
    before = random.get_rng_state()
    with pytest.raises(error, match=message):
        call()
    np.testing.assert_array_equal(random.get_rng_state(), before)


def test_draws_of_a_block_come_from_its_generator() -> None:
    before = ag.get_rng_state()
    with ag.drawing_from(ag.Generator(5)) as inner:
        found = [ag.rand(3), ag.randn(2), nn.functional.dropout(ag.ones(8), 0.5), ag.rand(2, generator=ag.Generator(1))]
        assert ag.random.current_generator() is inner
    wanted = ag.Generator(5)
    np.testing.assert_array_equal(found[0], ag.rand(3, generator=wanted))
    np.testing.assert_array_equal(found[1], ag.randn(2, generator=wanted))
    assert inner.get_state()[2] > wanted.get_state()[2]  # by what dropout took
    np.testing.assert_array_equal(ag.get_rng_state(), before)
    assert ag.random.current_generator() is ag.random.default_generator


def test_draws_of_another_thread_are_its_own() -> None:
    found = []
    with ag.drawing_from(ag.Generator(5)):
        other = threading.Thread(target=lambda: found.append(ag.random.current_generator()))
        other.start()
        other.join()
    assert found == [ag.random.default_generator]


def test_drawing_from_wants_a_generator() -> None:
    with pytest.raises(TypeError, match="expected a Generator, got int"), ag.drawing_from(3):
        pass


# --- inside vmap -----------------------------------------------------------------------------------------------------

MAPPED = {
    "rand": lambda x, p: ag.rand(5),
    "randn": lambda x, p: ag.randn(2, 3),
    "complex": lambda x, p: ag.randn(3, dtype=ag.complex64),
    "rand_like": lambda x, p: ag.rand_like(x),
    "randint": lambda x, p: ag.randint(1000, (5,)),
    "randperm": lambda x, p: ag.randperm(30),
    "bernoulli": lambda x, p: ag.bernoulli(ag.full((60,), 0.5)),
    "poisson": lambda x, p: ag.poisson(ag.full((9,), 50.0)),
    "multinomial": lambda x, p: ag.multinomial(ag.ones(40), 8),
    "normal": lambda x, p: ag.normal(ag.zeros(3), 1.0),
    "uniform_": lambda x, p: (x * 1).uniform_(),
    "exponential_": lambda x, p: (x * 1).exponential_(),
    "generator": lambda x, p: ag.rand(5, generator=ag.Generator()),
}
BY_PARAMETERS = {
    "bernoulli": lambda x, p: ag.bernoulli(p.expand(60)),
    "poisson": lambda x, p: ag.poisson(p.expand(9) * 100),
    "multinomial": lambda x, p: ag.multinomial(p.expand(40), 8),
}


def members(f, *randomness):
    """Results of f mapped once for each way, the last innermost, with all members in a row."""
    for how in reversed(randomness):
        f = ag.vmap(f, randomness=how)
    sizes = range(2, 2 + len(randomness))
    y = f(ag.ones(*sizes, 4), ag.full((*sizes,), 0.5)).numpy()
    return y, [r.tobytes() for r in y.reshape(-1, *y.shape[len(randomness) :])]


@pytest.mark.parametrize("name", MAPPED)
def test_members_share_a_draw_or_draw_each_their_own(name):
    f = MAPPED[name]
    assert len(set(members(f, "same")[1])) == 1
    assert len(set(members(f, "different")[1])) == 2
    assert len(set(members(f, "different", "different")[1])) == 6
    y, _ = members(f, "different", "same")
    assert (y[:, :1] == y).all() and (y[0] != y[1]).any()
    y, _ = members(f, "same", "different")
    assert (y[:1] == y).all() and (y[:, 0] != y[:, 1]).any()
    for how in (["error"], ["error", "same"], ["different", "error"]):
        with pytest.raises(RuntimeError, match="a random draw inside vmap; give vmap randomness='different'"):
            members(f, *how)


@pytest.mark.parametrize("name", BY_PARAMETERS)
def test_members_with_parameters_of_their_own(name):
    f = BY_PARAMETERS[name]
    assert len(set(members(f, "different")[1])) == 2
    assert len(set(members(f, "different", "different")[1])) == 6
    with pytest.raises(RuntimeError, match="cannot share a draw whose parameters differ"):
        members(f, "same")


def test_members_draw_what_one_draw_of_all_would():
    ag.manual_seed(3)
    y = ag.vmap(lambda x: x + ag.rand(8), randomness="different")(ag.zeros(4))
    ag.manual_seed(3)
    assert (y.numpy() == ag.rand(4, 8).numpy()).all()


def test_a_draw_after_vmap_and_after_its_errors_is_an_ordinary_one():
    def fails(x):
        raise KeyError

    for f in (lambda x: x, fails, lambda x: ag.rand(3)):
        try:
            ag.vmap(f)(ag.ones(2))
        except (KeyError, RuntimeError):
            pass
        assert ag.rand(3).shape == (3,)
    with pytest.raises(ValueError, match="randomness must be 'error', 'different' or 'same', got 'none'"):
        ag.vmap(lambda x: x, randomness="none")
    with pytest.raises(RuntimeError, match="uniform_"):
        ag.vmap(lambda x: ag.zeros(3).uniform_(), randomness="different")(ag.ones(2))
