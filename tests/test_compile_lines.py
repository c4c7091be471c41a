"""How calls are replayed: as the kernels that they end in, in memory that is planned, or else as they are."""

import os
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from autograd_core import compile
from autograd_core.compiled import emit, launches
from autograd_core.compiled.emit import on_arrays
from autograd_core.compiled.likeness import Likeness
from autograd_core.compiled.program import TEMPORARY, Array, Block, Call, address, everywhere
from autograd_core.kernels import _steps
from autograd_core.kernels._jit import COMPILED, KERNELS, kernel
from autograd_core.kernels._rows import Table
from autograd_core.op import REGISTRY, Op
from autograd_core.testing import jiggled
from nn import functional as F

pytestmark = pytest.mark.skipif(not COMPILED, reason="there are no kernels")
f4 = np.dtype("float32")


# --- what an op does, as launches ------------------------------------------------------------------------------------


@kernel(name="test_lines_double")
def double(x, y):
    """y = 2 x"""
    for i in range(len(x)):
        y[i] = x[i] * 2


@kernel(name="test_lines_plus")
def plus(x, value, y):
    """y = x + value"""
    for i in range(len(x)):
        y[i] = x[i] + value


@kernel(name="test_lines_negative")
def negative(x):
    """Whether an entry is negative."""
    for i in range(len(x)):
        if x[i] < 0:
            return True
    return False


@kernel(name="test_lines_of_positive")
def of_positive(x, y):
    """y = x if no entry is negative, else NaN"""
    for i in range(len(x)):
        y[i] = x[i]
    for i in range(len(x)):
        if x[i] < 0:
            y[:] = np.nan


TABLE = np.array([1.0, 2.0, 3.0, 4.0], "f")


def by_kernel(x):
    y = np.empty_like(x)
    double(x, y)
    return y


def by_two(x):
    between, y = np.empty_like(x), np.empty_like(x)
    double(x, between)
    double(between, y)
    return y


def with_table(x):
    y = np.empty_like(x)
    _steps.add(x, TABLE, y)
    return y


def with_fresh_table(x):
    y = np.empty_like(x)
    _steps.add(x, np.arange(4, dtype="f"), y)
    return y


def with_numpy_before(x):
    y = np.empty_like(x)
    double(np.array(x), y)
    return y


def with_numpy_after(x):
    y = np.empty_like(x)
    double(x, y)
    y += 1
    return y


def with_numpy_after_nan(x):
    y = np.empty_like(x)
    of_positive(x, y)
    y += 1
    return y


def by_value(x):
    y = np.empty_like(x)
    plus(x, float(x[0]), y)
    return y


def found(forward, *arrays):
    """What an op that is allowed to be launched is found to do."""
    array = lambda a: Array(Block(TEMPORARY, a, address(a), a.nbytes), 0, a.shape, a.strides, a.dtype)
    given, result = [array(a) for a in arrays], forward(*arrays)
    op = Op(forward, [None] * len(arrays), name="softmax")
    call = Call(op, tuple(given), {}, (array(result),))
    return launches.launches_of(call, on_arrays(call), dict(zip(given, arrays)))


@pytest.mark.parametrize("forward", [by_kernel, by_two, with_table, with_fresh_table])
def test_what_is_done_by_kernels_is_found(forward):
    calls, scratch = found(forward, np.array([1.0, -2.0, 0.0, 3.0], "f"))
    assert len(calls) == (2 if forward is by_two else 1) and len(scratch) == (forward is by_two)


@pytest.mark.parametrize("forward", [with_numpy_before, with_numpy_after, with_numpy_after_nan, by_value])
def test_what_is_done_between_kernels_is_noticed(forward):
    assert found(forward, np.array([1.0, -2.0, 0.0, 3.0], "f")) is None


def test_copies_of_arguments_are_not_taken_for_tables():
    forward = lambda i: with_numpy_before(i)
    assert found(forward, np.zeros(4, "f")) is None
    assert found(forward, np.array([1, 1, 1, 1])) is None  # no other numbers can be tried


class Parts(NamedTuple):
    """What some kernels take as one argument."""

    left: Any
    right: Any


def test_calls_alike_are_looked_at_once(monkeypatch):
    seen = []
    find = lambda call, forward, known: seen.append(call.op.name) or launches.launches_of(call, forward, known)
    monkeypatch.setattr(emit, "launches_of", find)
    rng = np.random.default_rng(0)
    weights = [ag.tensor(rng.standard_normal((40, 40)).astype("f") / 6) for _ in range(4)]

    def run(x):
        for w in weights:
            x = ag.softmax(ag.tanh(ag.matmul(x, w)), 1) - x
        return ag.softmax(x, 0) + ag.softmax(x.T, 1).T

    replayed, x = compile(run), lambda: ag.tensor(rng.standard_normal((40, 40)).astype("f"))
    for _ in range(4):
        given = x()
        np.testing.assert_allclose(replayed(given).numpy(), run(given).numpy(), rtol=1e-5, atol=1e-6)
    assert seen.count("softmax") == 3, "along rows, along columns, and of what lies across"


def test_calls_are_alike_only_with_the_same_numbers_places_and_settings():
    block = lambda: Block(TEMPORARY, None, 0, 64)
    array = lambda b, offset=0: Array(b, offset, (4,), (4,), f4)
    key = lambda *args, **params: Likeness(Call(REGISTRY["add"], args, params, (array(block()),))).key
    a, b = block(), block()
    assert key(array(a), array(b)) == key(array(b), array(a)) != key(array(a), array(a))
    assert key(array(a), array(a, 16)) != key(array(a), array(a, 32)) != key(array(a), array(b))
    assert len({key(array(a), v) for v in (0.0, -0.0, 0, False, np.nan, None, "0", (0,))}) == 8
    assert key(array(a), axis=1) != key(array(a), axis=0) and key(array(a), np.zeros(2)) is None


def test_arrays_in_parts_are_moved_too():
    a, b = (Array(Block(TEMPORARY, None, 0, 16), 0, (4,), (4,), f4) for _ in range(2))
    moved = everywhere((1, Parts(a, (b, 2))), {a.block: b.block})
    assert moved == (1, Parts(b, (b, 2))) and type(moved[1]) is Parts


@pytest.mark.parametrize("width, own", [(8, True), (2048, False)])
def test_small_calls_get_kernels_of_their_own_only_among_small_ones(width, own):
    rng = np.random.default_rng(0)
    w = ag.tensor((rng.standard_normal((width, 30)) / width).astype("f"))
    run = compile(lambda x: ag.softmax(ag.matmul(x, w), 0))
    for _ in range(4):
        x = ag.tensor(rng.standard_normal((20, width)).astype("f"))
        np.testing.assert_allclose(run(x).numpy(), ag.softmax(ag.matmul(x, w), 0).numpy(), rtol=1e-5)
    called = "softmax_tiles.f3_i_f3" if own else "    softmax_tiles_"  # by the types it was made for, or as it comes
    assert called in run.source()


def test_a_capture_holds_no_more_than_the_run():
    @compile
    def run(x):
        for _ in range(40):
            x = ag.tanh(x) * 1.01
        return x

    x = ag.tensor(np.ones(1 << 17, "f"))
    tracemalloc.start()
    try:
        run(x)
        assert tracemalloc.get_traced_memory()[1] < 8 * x.numpy().nbytes
    finally:
        tracemalloc.stop()


def test_ops_that_are_not_named_are_not_tried():
    call = Call(REGISTRY["sort" if "sort" in REGISTRY else "roll"], (), {}, ())
    assert launches.launches_of(call, lambda: None, {}) is None


class Sealed(np.ndarray):
    """An array that NumPy may look at, turn and reshape, but not compute with."""

    def refuse(self, *args, **named):
        raise AssertionError("NumPy computes with an argument")

    __array_ufunc__ = __bool__ = __float__ = __int__ = item = tolist = sum = max = min = any = all = refuse

    def __array_function__(self, function, types, args, kwargs):
        if function in (np.reshape, np.swapaxes, np.transpose, np.broadcast_to, np.expand_dims, np.moveaxis):
            return super().__array_function__(function, types, args, kwargs)
        if function is np.copyto:
            return np.copyto(*[a.view(np.ndarray) if isinstance(a, Sealed) else a for a in args])
        self.refuse()


OPS = sorted(name for name in launches.NATIVE if REGISTRY[name].samples and not REGISTRY[name].mutates)


@pytest.mark.parametrize("name", OPS)
def test_no_numbers_are_looked_at_between_kernels(name, monkeypatch):
    bare = lambda a: a.view(np.ndarray) if isinstance(a, Sealed) else a
    monkeypatch.setattr(_steps.Step, "__call__", lambda step, *args: step.func(*map(bare, args)))
    op, seen = REGISTRY[name], 0
    for k, sample in enumerate(list(op.samples) * (12 if len(op.samples) == 1 else 1)):
        rng = np.random.default_rng(k)
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        arrays = [np.asarray(a).astype("f") if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays]
        if any(a.dtype.kind == "c" for a in arrays) or not arrays[0].size:
            continue
        made = Counter()
        with _steps.watching(launches.Kernel, lambda *call, made=made: made.update([call[0]]) or (lambda result: None)):
            op.forward(*arrays, **params)
        if made:  # else NumPy does all, and nothing is launched
            seen += 1
            with _steps.watching(launches.Kernel, lambda *call: lambda result: None):
                op.forward(*[a.view(Sealed) if a.dtype.kind == "f" else a for a in arrays], **params)
    assert seen or name in {"fit_shape", "linear", "linear_product", "matmul"}, "NumPy does all"


def test_watching_ends_and_is_of_one_thread():
    seen, other = [], []
    x = np.arange(4, dtype="f")
    with _steps.watching(type(double), lambda kernel, args: seen.append(kernel) or other.append):
        thread = threading.Thread(target=by_kernel, args=(x,))
        thread.start(), thread.join()
        assert not seen
        by_kernel(x)
    by_kernel(x)
    assert seen == [double] and other == [None] and "__call__" not in vars(type(double))


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_table_of_rows_is_one_call():
    x, y, z = np.arange(6, dtype="f").reshape(2, 3), np.empty(3, "f"), np.empty((), "f")
    table, (sums, means) = Table(), (KERNELS["reduce.sum_columns_f"], KERNELS["reduce.sum_f"])
    from autograd_core.kernels._threads import ADDRESS

    for _ in range(3):
        table.add(sums, (ADDRESS, id(x), id(y), 1, 2, 3, 1.0, 1.0))
        table.add(means, (ADDRESS, id(y), id(z), 1, 3, 1, 1.0, 4.0))
    run, given = table.ready()
    run(*given)
    np.testing.assert_array_equal(y, x.sum(0))
    assert z == x.sum() / 4


# --- whole steps -----------------------------------------------------------------------------------------------------


class Sequence(nn.Module):
    """A recurrent layer whose last states are looked at."""

    def __init__(self, kind):
        self.rnn, self.last = getattr(nn, kind)(5, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.rnn(x)[0][:, -1])


class Attention(nn.Module):
    """Words, their places, attention, and a norm."""

    def __init__(self):
        self.words, self.norm = nn.Embedding(11, 32), nn.LayerNorm(32)
        self.parts, self.last = nn.Linear(32, 96), nn.Linear(32, 3)

    def forward(self, x):
        h = self.words(x)
        q, k, v = (a.reshape(160, 12, 4, 8).swapaxes(1, 2) for a in self.parts(self.norm(h)).split(32, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).swapaxes(1, 2).reshape(160, 12, 32)
        return self.last(F.gelu(h + y).mean(1))


def images(*layers):
    return lambda: nn.Sequential(*[make() for make in layers], nn.Flatten(), nn.LazyLinear(3))


conv = lambda **options: lambda: nn.Conv2d(3, 8, 3, padding=1, **options)
picture, rows, words = (64, 3, 12, 12), (64, 40), None
NETS = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Dropout(0.3), nn.Linear(50, 3)), rows),
    "smooth": (lambda: nn.Sequential(nn.Linear(40, 50), nn.GELU(), nn.LayerNorm(50), nn.SiLU(), nn.Linear(50, 3)), rows),
    "convolution": (images(conv(), nn.ReLU, lambda: nn.MaxPool2d(2)), picture),
    "strided": (images(conv(stride=2, bias=False), lambda: nn.BatchNorm2d(8), nn.Tanh), picture),
    "groups": (images(conv(), lambda: nn.GroupNorm(2, 8), lambda: nn.AdaptiveAvgPool2d(1)), picture),
    "LSTM": (lambda: Sequence("LSTM"), (64, 7, 5)),
    "GRU": (lambda: Sequence("GRU"), (64, 7, 5)),
    "RNN": (lambda: Sequence("RNN"), (64, 7, 5)),
    "attention": (Attention, words),
}  # fmt: skip


def trained(make, shape, compiled):
    """A step that trains a network, and what it is called on."""
    ag.manual_seed(0)
    net, rng = make(), np.random.default_rng(0)
    draw = lambda: rng.integers(0, 11, (160, 12)) if shape is None else rng.standard_normal(shape).astype("f")
    net(ag.tensor(draw()))  # for lazy layers
    optimizer = optim.Adam(net.parameters(), lr=1e-2)

    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    batches = [(ag.tensor(draw()), ag.tensor(rng.integers(0, 3, 64 if shape else 160))) for _ in range(6)]
    return (compile(step) if compiled else step), batches, net


@pytest.mark.parametrize("name", NETS)
def test_a_replay_makes_no_arrays_and_is_right(name):
    step, batches, net = trained(*NETS[name], compiled=True)
    plain, others, same = trained(*NETS[name], compiled=False)
    same.load_state_dict(net.state_dict())
    losses = []
    for run, given in ((step, batches), (plain, others)):
        ag.manual_seed(3)
        losses.append([run(*pair).item() for pair in given])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    (replay,) = step.replays()
    replay.run()
    tracemalloc.start()
    try:
        replay.run()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        replay.run()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # Less than the arrays are: what is left are numbers of Python's, and lines that kernels have for each thread.
    assert peak < (200_000 if name == "attention" else 16_000), f"{peak} bytes\n{step.source()}"
    as_they_are = [line for line in step.source().splitlines() if "take_" in line and not line.strip().startswith("if")]
    assert not as_they_are


def test_what_a_kernel_refuses_is_refused_in_a_replay():
    table = ag.tensor(np.ones((5, 4), "f"))
    run = compile(lambda i: F.embedding(i, table) * 2)
    for k in range(3):
        assert run(ag.tensor(np.array([k, 1]))).shape == (2, 4)
    with pytest.raises(IndexError, match="^embedding: index 7 is out of range for an axis of 5 entries"):
        run(ag.tensor(np.array([0, 7])))
    assert run(ag.tensor(np.array([4, 4]))).numpy().sum() == 16
    loss = compile(lambda x, y: F.cross_entropy(x, y))
    x = ag.tensor(np.ones((4, 3), "f"))
    for k in range(3):
        loss(x, ag.tensor(np.array([0, 1, 2, k % 3])))
    with pytest.raises(IndexError, match="5"):
        loss(x, ag.tensor(np.array([0, 1, 2, 5])))


def test_other_numbers_leave_what_an_op_was_given_alone():
    x = ag.tensor(np.random.default_rng(0).standard_normal((4, 6)).astype("f"))
    before = x.numpy().copy()
    run = compile(lambda x: ag.softmax(x, 1))
    for _ in range(3):
        run(x)
    np.testing.assert_array_equal(x.numpy(), before)
    assert jiggled(before, 1).shape == before.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "a_shape, b_shape",
    [((60, 50), (40, 50, 1)), ((60, 50), (4, 10, 50, 1)), ((40, 1, 50), (50, 60)), ((2, 3), (5, 3, 1))],
)
def test_many_columns_or_rows_by_one_matrix_are_one_kernel(a_shape, b_shape, dtype):
    """What is many and does not lie in order is done as it is."""
    rng = np.random.default_rng(0)
    a, b = (ag.tensor(rng.standard_normal(s).astype(dtype)) for s in (a_shape, b_shape))
    many = int(len(b_shape) > 2)
    for step, by_kernels in [
        (compile(lambda a, b: ag.matmul(a, b)), True),
        (compile(lambda a, b: ag.matmul(*[ag.flip(v, 0) if k == many else v for k, v in enumerate((a, b))])), True),
        (compile(lambda a, b: ag.matmul(*[v[::2] if k == many else v for k, v in enumerate((a, b))])), False),
    ]:
        for _ in range(4):
            y = step(a, b)
        assert step.cache_info().replays >= 1
        assert "take" not in step.source() or not by_kernels
        wide = step.fn(*[ag.tensor(v.numpy().astype("d")) for v in (a, b)])
        np.testing.assert_allclose(y.numpy(), wide.numpy(), rtol=0, atol=1e-13 if dtype is np.float64 else 1e-4)


def test_a_step_is_replayed_where_nothing_is_compiled():
    text = """
import numpy as np, autograd_core as ag, nn, optim
from nn import functional as F
x, y = np.random.default_rng(0).standard_normal((8, 5)).astype("f"), np.arange(8) % 3
def made():
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    rule = optim.Adam(model.parameters(), lr=0.1)
    def step(x, y):
        rule.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        rule.step()
        return loss, ag.roll(model(x).detach(), 1, 0)
    return step
plain, run = made(), ag.compile(made())
for _ in range(6):
    for a, b in zip(plain(ag.tensor(x), ag.tensor(y)), run(ag.tensor(x), ag.tensor(y))):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)
print(run.cache_info().replays)
"""
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=env)
    assert not done.returncode, done.stderr
    assert int(done.stdout) >= 3


def test_lines_are_those_of_the_user_not_of_layers_and_optimizers(monkeypatch):
    words = nn.Embedding(5, 3)
    optimizer = optim.Adam(words.parameters())

    @ag.compile
    def step(index):
        optimizer.zero_grad()
        words(index).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(ag.tensor([0, 1]))
    file = os.path.basename(__file__)
    assert file in step.explain() and "embedding.py" not in step.explain() and "layout.py" not in step.explain()
    monkeypatch.setenv("AG_DEBUG", "much")
    step.cache_clear()
    with pytest.raises(ValueError, match="AG_DEBUG=much: needs 1"):
        for _ in range(4):
            step(ag.tensor([0, 1]))
