"""The passes of `compile`, each by what it leaves of a program, and by results that are those of the function itself."""

import itertools

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.compiled import memory
from autograd_core.compiled.passes.order import dependencies
from autograd_core.compiled.program import TEMPORARY, Array, Block, Call
from autograd_core.kernels._jit import COMPILED
from autograd_core.op import REGISTRY


def left(f, *args):
    """The names of the operations in what is replayed of f, after its results were compared with those of f."""
    compiled = ag.compile(f)
    for _ in range(4):
        for a, b in zip(flat(compiled(*args)), flat(f(*args)), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)  # NumPy's exp of few entries is another
    assert compiled.cache_info().replays
    calls = [c for r in compiled.replays() for p in r.parts() for c in p.program.calls]
    return [n for c in calls for n in c.settings.get("names", [c.op.name])]


def flat(y):
    return y if isinstance(y, tuple) else (y,)


X = ag.tensor(np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4))
NEUTRAL = [lambda x: x * 1, lambda x: 1 * x, lambda x: x / 1, lambda x: x - 0, lambda x: x**1, lambda x: x.float()]


@pytest.mark.parametrize("change", NEUTRAL)
def test_what_changes_no_entry_is_left_out(change):
    assert left(lambda x: change(x.exp()).sin(), X) == ["exp", "sin"]


def test_zero_is_added_since_minus_zero_becomes_zero():
    x = ag.tensor([-0.0, 1.0])
    y = ag.compile(lambda x: (x * 1) + 0)
    assert [np.signbit(y(x).numpy())[0] for _ in range(4)] == [False] * 4


def test_what_was_computed_is_not_computed_again():
    f = lambda x: x.exp().cumsum(0) * x.exp().cumsum(0)
    assert sorted(left(f, X)) == ["cumsum", "exp", "mul"]


def test_other_settings_are_another_thing():
    f = lambda x: x.cumsum(0) * x.cumsum(1)
    assert left(f, X).count("cumsum") == 2


def test_what_changed_meanwhile_is_computed_again():
    def f(x):
        y = x.exp()
        a = y.cumsum(0)
        y[0] = 5.0
        return a, y.cumsum(0)

    assert left(f, X).count("cumsum") == 2


def test_what_is_changed_later_stays_apart():
    def f(x):
        a, b = x.cumsum(0), x.cumsum(0)
        a[0] = 3.0
        return a * 1, b * 1

    assert left(f, X).count("cumsum") == 2


def test_results_are_not_joined():
    f = ag.compile(lambda x: (x.cumsum(0), x.cumsum(0)))
    for _ in range(4):
        one, two = f(X)
        one.zero_()
        np.testing.assert_array_equal(two.numpy(), X.cumsum(0).numpy())


def test_draws_are_drawn_again():
    f = ag.compile(lambda: ag.rand(4) - ag.rand(4))
    seen = {tuple(f().tolist()) for _ in range(5)}
    assert f.cache_info().replays and len(seen) == 5 and not any(all(v == 0 for v in row) for row in seen)


def test_constants_are_computed_once():
    def f(x):
        mask = ag.ones(3, 4).tril()
        table = ag.arange(4).float().sqrt().cumsum(0)
        return (x * mask).cumsum(1) + table

    assert sorted(left(f, X)) == ["add", "cumsum", "mul"]


def test_what_starts_as_a_constant_and_is_changed_starts_anew():
    def f(x):
        total = ag.zeros(4)
        for row in x:
            total += row
        return total

    left(f, X)


def test_constants_that_are_returned_are_new_each_time():
    f = ag.compile(lambda x: (x + 1, ag.ones(3).cumsum(0)))
    for _ in range(4):
        _, ones = f(X)
        np.testing.assert_array_equal(ones.numpy(), [1, 2, 3])
        ones.zero_()
    assert f.cache_info().replays


def test_large_constants_are_not_kept_twice():
    assert left(lambda x: x + ag.ones(4), X) == ["add"]
    assert left(lambda x: x + ag.ones(600_000), ag.ones(600_000)) == ["add"]  # they stay where they are
    assert sorted(left(lambda x: x + ag.ones(600_000).sin(), ag.ones(600_000))) == ["add", "sin"]
    assert "clone" in left(lambda x: x + ag.ones(600_000).add_(x), ag.ones(600_000))


def test_rates_that_schedules_change_are_no_constants():
    settings = {"rate": 1.0}
    f = ag.compile(lambda x: x.exp() * settings["rate"])
    for _ in range(4):
        f(X)
    settings["rate"] = 3.0
    np.testing.assert_allclose(f(X).numpy(), (X.exp() * 3.0).numpy(), rtol=1e-6)


def test_backward_passes_use_what_is_left():
    """Values that the way back needs are no repeats and no constants of the way there."""
    w = ag.tensor(np.ones((4, 4), np.float32), requires_grad=True)

    @ag.compile
    def loss(x):
        return ((x @ w).exp().cumsum(0) * (x @ w).exp().cumsum(0) * ag.arange(4)).sum()

    for _ in range(5):
        w.grad = None
        loss(X).backward()
    found, w.grad = w.grad.numpy().copy(), None
    loss.fn(X).backward()
    np.testing.assert_allclose(found, w.grad.numpy(), rtol=1e-6)
    assert loss.cache_info().replays


SUMMED = {
    "mean square": (lambda x, y: ((x - y) ** 2).mean(), (40, 70), (40, 70)),
    "two sums": (lambda x, y: ((x * y).sum(), (x.tanh() * y).mean()), (9, 300), (9, 300)),
    "beside what stays": (lambda x, y: ((x * y).exp(), (x * y).sum()), (200, 300), (200, 300)),
    "rows": (lambda x, y: (x * y).tanh().sum(), (50, 30), (30,)),
    "columns": (lambda x, y: (x * y).tanh().mean(), (50, 30), (50, 1)),
    "a sum that the next loop reads": (lambda x, y: (x - (x * y).mean()).square().sum(), (30, 70), (30, 70)),
    "two entries": (lambda x, y: (x - y).square().sum(), (2,), (2,)),
    "none": (lambda x, y: (x - y).square().sum(), (0, 3), (0, 3)),
    "many chunks": (lambda x, y: (x * y).sum(), (300_001,), (300_001,)),
    "kept axes": (lambda x, y: (x * y).sum((0, 1), keepdim=True), (4, 5), (4, 5)),
}


@pytest.fixture
def threads():
    before = ag.get_num_threads()
    yield
    ag.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SUMMED)
def test_sums_are_taken_where_what_they_add_is_made(name, dtype):
    f, *shapes = SUMMED[name]
    rng = np.random.default_rng(0)
    args = [ag.tensor(rng.uniform(0.5, 1, s).astype(dtype)) for s in shapes]
    compiled, bits = ag.compile(f), set()
    for threads in (1, 2, 3, 1):
        ag.set_num_threads(threads)
        found = flat(compiled(*args))
        if compiled.cache_info().replays:
            bits.add(tuple(y.numpy().tobytes() for y in found))
        for a, b in zip(found, flat(f(*args)), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6 if dtype == np.float32 else 1e-13)
            assert a.shape == b.shape
    assert compiled.cache_info().replays == 2 and len(bits) == 1
    if name != "none" and COMPILED:
        (replay,) = compiled.replays()
        assert all(c.op.name == "fused" for c in replay.part.program.calls)


@pytest.mark.parametrize(
    "change",
    [
        lambda y, s: y.__setitem__(slice(1, None), y[1:] * s),
        lambda y, s: y[1:].mul_(s),
        lambda y, s: y[0].mul_(s),
        lambda y, s: y[:2].mul_(s),
    ],
)
def test_what_is_overwritten_in_its_own_loop_is_copied_before(change):
    """The copy that the way back reads was moved to the loop that reads it, behind what overwrites the original."""
    w = ag.tensor([0.5, 2.0], requires_grad=True)

    def step(a):
        y = a * 1
        change(y, w.sum())
        return ag.gradient((y * y).sum(), [w])[0]

    compiled = ag.compile(step)
    for k in range(4):
        a = ag.ones(4, 5) * (k + 1)
        np.testing.assert_array_equal(compiled(a).numpy(), step(a).numpy())


def test_sums_of_nan_and_infinity():
    f = lambda x: (x * 2).sum()
    compiled = ag.compile(f)
    for bad in (np.nan, np.inf, -np.inf):
        x = ag.ones(3000)
        x[2999] = bad
        for _ in range(3):
            np.testing.assert_array_equal(compiled(x).numpy(), np.float32(bad))


@pytest.mark.parametrize(
    "shape, shifts, axes",
    [
        ((7,), -2, 0),
        ((7,), 9, 0),
        ((4, 5), (1, -2), (0, 1)),
        ((4, 5), (1, 2, -3), (1, 0, -1)),
        ((3, 4), 4, 1),
        ((6,), 0, 0),
    ],
)
def test_rolls_are_copies_of_pieces(shape, shifts, axes):
    rng = np.random.default_rng(0)
    weights = ag.tensor(rng.standard_normal(shape))

    def step(x):
        loss = (ag.roll(ag.tanh(x), shifts, axes) * weights).sum() + (ag.roll(x.T, 1, -1) ** 2 * weights.T).sum()
        return ag.roll(x * 2, shifts, axes), *ag.gradient(loss, [x])

    run = ag.compile(step)
    for _ in range(4):
        x = ag.tensor(rng.standard_normal(shape), requires_grad=True)
        for a, b in zip(run(x), step(x)):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
    assert run.replays() and ("take_" not in run.source() or not COMPILED)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "shape, part",
    [
        ((6, 5, 9), (6, 1, 9)),
        ((6, 5, 1, 9), (6, 1, 1, 9)),
        ((2, 3, 5, 4, 9), (2, 3, 1, 1, 9)),
        ((4, 5, 3, 2), (4, 1, 3, 2)),
        ((90, 40, 30), (90, 1, 30)),
        ((1, 5, 9), (1, 1, 9)),
        ((6, 1, 9), (6, 1, 9)),
        ((6, 5, 1), (6, 1, 1)),
    ],
)
def test_rows_for_groups_of_rows_are_read_in_the_loop(shape, part, threads, dtype):
    """Also beside rows, columns and channels, which may split the axes elsewhere, and into sums."""
    rng, before = np.random.default_rng(0), ag.get_num_threads()
    draw = lambda s: ag.tensor(rng.standard_normal(s).astype(dtype))
    row, column = (1,) * (len(shape) - 1) + shape[-1:], shape[:-1] + (1,)
    x, g, given = draw(shape), draw(part), [draw(row), draw(column), draw(shape[:1] + (1,) * (len(shape) - 1))]

    def step(x, g, row, column, channel):
        return x * g, (x * row - g) * column, (g * channel + x).abs(), ag.where(x > g, g, -x), (x * g + row).sum()

    run = ag.compile(step)
    try:
        ag.set_num_threads(threads)
        for _ in range(4):
            found = run(x, g, *given)
        *found, total = [y.numpy() for y in found]
        *expected, sum_ = [y.numpy() for y in step(x, g, *given)]
        assert run.replays() and all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
        np.testing.assert_allclose(total, sum_, rtol=1e-4, atol=1e-4)
        assert "take_" not in run.source() or not COMPILED
    finally:
        ag.set_num_threads(before)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loop_is_compiled_once_for_all_numbers(dtype):
    """Infinities and what is no number among them; what is usual, like 2 and 0.5, is part of the loop."""
    x = ag.tensor(np.random.default_rng(0).standard_normal(50_000).astype(dtype))
    f = lambda x, k: (x * k + 0.1).clamp(-0.7, 1.3) * 0.5 - k
    run, kernels = ag.compile(f), set()
    for k in (0.3, -1.7, 1e-30, 1e30, -np.inf, np.nan, 17.0):
        for _ in range(3):
            y = run(x, k)
        np.testing.assert_array_equal(y.numpy(), f(x, k).numpy())
        kernels.add(run.replays()[-1].program.calls[0].settings["nest"])
    assert len(kernels) == 1 and len(run.replays()) == 7


def test_blocks_alive_at_once_lie_apart_however_many_there_are():
    rng = np.random.default_rng(0)
    lives = {}
    for size, count in ((80, 30), (8192, 400), (8256, 300), (5000, 20), (1 << 16, 3)):
        for _ in range(count):
            begin = int(rng.integers(0, 500))
            lives[Block(TEMPORARY, None, 0, size)] = (begin, begin + int(rng.integers(0, 60)))
    offsets, size = memory.arranged(lives)
    assert offsets.keys() == lives.keys()
    most = max(sum(b.size for b, (i, j) in lives.items() if i <= t <= j) for t in range(560))
    assert most <= size <= 1.3 * most, "memory that nobody needs"
    for t in range(560):
        alive = sorted((offsets[b], offsets[b] + b.size) for b, (i, j) in lives.items() if i <= t <= j)
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(alive))
        assert not alive or alive[-1][1] <= size


@pytest.mark.parametrize("seed", range(20))
def test_what_must_stay_before_is_known_of_any_order_of_reads_and_writes(seed):
    rng = np.random.default_rng(seed)
    block = Block(TEMPORARY, None, 0, 80)

    def some():
        begin, count = rng.integers(0, 8), rng.integers(1, 4)
        return Array(
            block, int(begin) * 4, (int(count),), (int(rng.choice([4, -4])) if begin > 3 else 4,), np.dtype("f")
        )

    calls = []
    for _ in range(25):
        written = (some(),) if rng.random() < 0.5 else ()
        calls.append(Call(REGISTRY["add"], (some(), *written), {}, (), written))
    clash = lambda p, q: any(a.overlaps(b) for a in p.changes for b in (*q.reads, *q.changes))
    direct = [{j for j in range(k) if clash(calls[j], c) or clash(c, calls[j])} for k, c in enumerate(calls)]

    def closed(needed):
        found = []
        for before in needed:
            found.append(set(before).union(*(found[j] for j in before)))
        return found

    assert closed(dependencies(calls)) == closed(direct)


def test_what_has_been_written_over_is_looked_at_no_more():
    block = Block(TEMPORARY, None, 0, 16)
    a = Array(block, 0, (4,), (4,), np.dtype("f"))
    calls = [Call(REGISTRY["neg"], (a,), {}, (), (a,)) for _ in range(50)]
    assert [len(before) for before in dependencies(calls)] == [0] + [1] * 49
