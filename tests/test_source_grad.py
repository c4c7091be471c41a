"""Gradients by transforming source: they agree with differences and with the tape, compiled and not."""

import functools
import linecache
import math
import re

import numpy as np
import pytest
import source_functions as F
from hypothesis import HealthCheck, given, settings
from source_programs import function, programs

import autograd_core as ag
from autograd_core.kernels._jit import COMPILED
from autograd_core.source import SourceError

X = np.array([0.3, -0.7, 1.1, 0.2])
M = np.array([[1.0, 0.2, 0.3], [0.1, 0.9, -0.4], [0.5, 0.6, 0.7]])
CASES = [
    (F.shadowed, (X,), 0),
    (F.alias, (X,), 0),
    (F.writes_arg, (X, 0.5), (0, 1)),
    (F.calls_step, (X, 0.5), (0, 1)),
    (F.uses_pair, (0.7,), 0),
    (F.collatz, (0.7, 7), 0),
    (F.find, (X, 0.5), 0),
    (F.find, (X, 50.0), 0),
    (F.matvec, (M, X[:3]), (0, 1)),
    (F.edit, (X, X[::-1] * 1.1, 0.3), (0, 1, 2)),
    (F.glob, (1.3,), 0),
    (F.mk(3.0), (1.3,), 0),
    (F.meth, (X,), 0),
    (F.two_d, (M,), 0),
    (F.bcast, (X[:3], X), (0, 1)),
    (F.bcast, (X[:3], X[:1]), (0, 1)),
    (F.clipy, (X,), 0),
    (F.nan_branch, (-1.0,), 0),
    (F.nan_branch, (2.0,), 0),
    (F.ints, (0.8, 6), 0),
    (F.zero, (1.2, 0), 0),
    (F.zero, (1.2, 3), 0),
    (F.uloop, (1.1, 3), 0),
    (F.ack, (0.6, 5), 0),
    (F.even, (0.6, 4), 0),
    (F.loga, (0.75,), 0),
    (F.arr_lit, (0.8,), 0),
    (F.arr_loop, (X,), 0),
    (F.buf, (0.8,), 0),
    (F.use_arr, (X,), 0),
    (F.use_view, (X,), 0),
    (F.swap, (0.8, 4), 0),
    (F.chained, (0.8,), 0),
    (F.in_test, (1.7, 20), 0),
    (F.rev, (X, 4), 0),
    (F.stepped, (0.9, 12, 2), 0),
    (F.newton, (2.0,), 0),
    (F.boolvar, (0.8,), 0),
    (F.boolvar, (0.2,), 0),
    (F.useempty, (0.9,), 0),
    (F.out_of_loops, (0.7, 4), 0),
    (F.out_of_loops, (1.7, 4), 0),
    (F.nested_exits, (0.7, 6), 0),
    (F.nested_exits, (-0.7, 6), 0),
    (F.strided, (X,), 0),
    (F.whole_rows, (M,), 0),
    (F.annotated, (0.7,), 0),
    (F.names, (0.3, 4), 0),
    (F.zipped, (X, X[::-1] * 2), (0, 1)),
]


def copies(args):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def differences(f, args, k, step=1e-6):
    """The gradient by argument k, by central differences."""
    x = np.asarray(args[k])
    g = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = np.array(x)
            moved[i] += sign * step
            given = copies(args)
            given[k] = moved if x.ndim else float(moved)
            ends.append(f(*given))
        g[i] = (ends[0] - ends[1]) / (2 * step)
    return g


def check(f, args, argnums, compile):
    before = copies(args)
    value, gradient = ag.source_grad(f, argnums, compile=compile).value_and_grad(*args)
    assert value == pytest.approx(f(*copies(args)), rel=1e-12)
    gradients = gradient if isinstance(argnums, tuple) else (gradient,)
    for k, g in zip(argnums if isinstance(argnums, tuple) else (argnums,), gradients):
        assert isinstance(g, np.ndarray) == isinstance(args[k], np.ndarray)
        np.testing.assert_allclose(g, differences(f, args, k), rtol=2e-5, atol=1e-7)
    assert all(np.array_equal(a, b) for a, b in zip(args, before)), "arguments are left alone"


@pytest.mark.filterwarnings("ignore:invalid value encountered in log:RuntimeWarning")
@pytest.mark.parametrize(("f", "args", "argnums"), CASES, ids=lambda v: getattr(v, "__name__", None))
def test_gradients_are_those_of_differences(f, args, argnums):
    check(f, args, argnums, compile=False)


COMPILED_TOO = "uses_pair edit even out_of_loops".split()


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize(
    ("f", "args", "argnums"),
    [c for c in CASES if c[0].__name__ in COMPILED_TOO],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_compiled_source_gives_the_same(f, args, argnums):
    check(f, args, argnums, compile=True)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_programs_with_loops_branches_and_arrays_agree_with_the_tape(text):
    f = function(text)
    args = (0.4, X, 3)
    try:
        value, gradient = ag.value_and_grad(f, (0, 1))(*args)
    except RuntimeError as error:
        assert "changed in place" in str(error)  # which the tape refuses, and source transformation restores
        value, gradient = f(*copies(args)), ()
    got, slopes = ag.source_grad(f, (0, 1), compile=False).value_and_grad(*args)
    assert got == pytest.approx(value, rel=1e-9, abs=1e-12)
    for mine, theirs in zip(slopes, gradient):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)


def length(x1, x2):
    return np.sqrt(x1**2 + x2**2)


def test_K_S47_whole_numbers_may_be_given():
    value, gradient = ag.source_grad(length, (0, 1)).value_and_grad(1, 2)
    assert value == pytest.approx(2.2360680, abs=5e-8)
    assert gradient == pytest.approx((0.4472136, 0.8944272), abs=5e-8)


def hinge(x, y):
    if y * x < 1:
        return 1 - y * x
    return 0.0


def test_K_S18_hinge_loss_by_a_branch():
    g = ag.source_grad(hinge, compile=False)
    found = [g.value_and_grad(float(x), 1.0) for x in (-2, -1, 0, 1, 2)]
    assert found == [(3, -1), (2, -1), (1, -1), (0, 0), (0, 0)]


def by_products(a, k):
    result = a
    for _ in range(k - 1):
        result = result * a
    return result


def test_K_S19_a_power_by_a_loop():
    assert ag.source_grad(by_products).value_and_grad(2.0, 5) == (32.0, 80.0)


def entropy(p, t):
    total = 0.0
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            total -= t[i, j] * np.log(p[i, j]) + (1 - t[i, j]) * np.log(1 - p[i, j])
    return total / p.size


def test_K_S12_cross_entropy():
    p, t = np.full((3, 3), 0.01), np.tile([0.99, 0.99, 0.01], (3, 1))
    value, gradient = ag.source_grad(entropy, compile=False).value_and_grad(p, t)
    assert value == pytest.approx(3.058146503109446, rel=1e-14)
    np.testing.assert_allclose(gradient, (-t / p + (1 - t) / (1 - p)) / 9, rtol=1e-12)


SHOWN = """\
def by_products_adjoint(a, k, seed1):
    reals = [0.0]
    result = a
    for _ in range(k - 1):
        reals.append(result)
        result = result * a
    value1 = result
    a_bar = 0.0
    result_bar = seed1
    for _ in range(k - 2, -1, -1):
        g1 = result_bar
        result_bar = 0.0
        result = reals.pop()
        result_bar += a*g1
        a_bar += result*g1
    a_bar += result_bar
    return value1, a_bar
"""


def test_K_A13_K_S50_the_source_can_be_read():
    text = ag.source_grad(by_products).source(2.0, 5)
    wanted = SHOWN.replace("result", "RESULT").replace("RESULT", "result")
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= len(wanted.splitlines()) + 6 and lines[0] == wanted.splitlines()[0]
    scope = {"np": np}
    exec(text, scope)  # it is ordinary Python
    assert scope["by_products_adjoint"](2.0, 5, 1.0) == (32.0, 80.0)


def test_what_is_not_read_in_reverse_is_not_kept():
    def linear(x, n):
        s = 0.0
        for i in range(n):
            s = s + 3.0 * x * i
        return s

    text = ag.source_grad(linear).source(2.0, 5)
    assert "append" not in text and "pop" not in text
    assert ag.source_grad(linear, compile=False)(2.0, 5) == 30.0


# --- names from outside ----------------------------------------------------------------------------------------------

RATE = 2.0


def with_global(x):
    return RATE * x**2


def test_globals_and_closures_are_what_they_are_when_called(monkeypatch):
    g = ag.source_grad(with_global, compile=False)
    assert g(3.0) == 12.0
    monkeypatch.setitem(globals(), "RATE", 5.0)
    assert g(3.0) == 30.0
    monkeypatch.setitem(globals(), "RATE", np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="must return one number"):
        g(3.0)
    k = 1.0

    def closed(x):
        return k * x

    g = ag.source_grad(closed, compile=False)
    assert g(1.0) == 1.0
    k = 4.0
    assert g(1.0) == 4.0


def test_keywords_and_defaults():
    g = ag.source_grad(F.annotated, compile=False)
    assert g(2.0) == 16.0 and g(2.0, scale=3.0) == 36.0 and g(x=2.0, scale=1.0) == 4.0
    assert ag.source_grad(F.annotated, 1, compile=False)(2.0) == 16.0
    assert ag.source_grad(F.annotated, -1, compile=False)(2.0, 3.0) == 24.0


def test_kinds_of_arguments():
    f = F.shadowed
    g = ag.source_grad(f, compile=False)
    assert g(X.astype(np.float32)).dtype == np.float32
    assert np.allclose(g(np.arange(3)), g(np.arange(3.0)))
    assert np.allclose(g(X[::-1]), g(X)[::-1]) and g(np.zeros(0)).shape == (0,)
    assert type(ag.source_grad(F.chained, compile=False)(np.float32(2))) is np.float32
    with pytest.raises(TypeError, match="complex128 array"):
        g(X + 0j)
    with pytest.raises(TypeError, match="x is str"):
        g("x")
    with pytest.raises(TypeError, match="use .on_tape"):
        g(ag.tensor(X))
    with pytest.raises(ValueError, match="argnums=3"):
        ag.source_grad(f, 3)(X)


def test_arrays_that_share_memory_and_are_written_to_are_refused():
    def f(x, y):
        x[0] = y[1] * 2.0
        return np.sum(x * y)

    g = ag.source_grad(f, (0, 1), compile=False)
    with pytest.raises(ValueError, match="x is written to, and shares memory with y"):
        g(X, X[:])
    assert np.array_equal(g(X.copy(), X)[0], [0, *X[1:]])


# --- results that are arrays, or several -----------------------------------------------------------------------------


def two(x, w):
    y = np.tanh(x * w)
    return y, w * np.sum(y)


def test_vjp_of_several_results():
    values, pull = ag.source_grad(two, (0, 1), compile=False).vjp(X, 0.5)
    expected, theirs = ag.vjp(two, X, 0.5)
    assert all(np.allclose(a, b) for a, b in zip(values, expected))
    seed = np.array([1.0, -2.0, 0.5, 0.0])
    for mine, other in zip(pull(seed, 3.0), theirs((seed, 3.0))):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    with pytest.raises(ValueError, match="2 results, and 1 cotangents"):
        pull(seed)
    with pytest.raises(ValueError, match="shape"):
        pull(seed[:2], 1.0)
    with pytest.raises(ValueError, match="returns 2 values; use vjp"):
        ag.source_grad(two, compile=False)(X, 0.5)


def test_on_the_tape_it_is_one_operation_with_the_same_gradient():
    h = ag.source_grad(F.edit, (0, 2), compile=False).on_tape
    s = ag.tensor(X, requires_grad=True)
    y = h(s * 2.0, X[::-1] * 1.1, 0.3)
    (y * y).backward()
    f = lambda s: F.edit(s * 2.0, X[::-1] * 1.1, 0.3) ** 2
    np.testing.assert_allclose(s.grad.value, differences(f, [X], 0), rtol=1e-5)
    assert h(X, X, 0.3) == F.edit(X, X, 0.3)
    grads = ag.grad(lambda s, c: h(s, X * 1.5, c), (0, 1))(X, 0.2)
    assert grads[0].shape == (4,) and isinstance(grads[1], float)
    rows = ag.vmap(lambda v: h(v, X * 1.5, 0.2))(np.stack([X, X * 2]))
    assert np.allclose(rows, [F.edit(v, X * 1.5, 0.2) for v in (X, X * 2)])
    assert ag.jvp(lambda v: h(v, X * 1.5, 0.2), (X,), (np.ones(4),))[1] == pytest.approx(grads_along(h))


def grads_along(h):
    return ag.grad(lambda v: h(v, X * 1.5, 0.2))(X).sum()


def test_arrays_on_the_tape_and_no_second_derivative():
    h = ag.source_grad(two, (0, 1), compile=False).on_tape
    x, w = ag.tensor(X, requires_grad=True), ag.tensor(0.5, requires_grad=True, dtype=ag.float64)
    y, z = h(x, w)
    (y.sum() * z).backward()
    want = ag.grad(lambda x, w: two(x, w)[0].sum() * two(x, w)[1], (0, 1))(X, 0.5)
    np.testing.assert_allclose(x.grad.value, want[0], rtol=1e-12)
    assert w.grad.item() == pytest.approx(want[1])
    k = ag.source_grad(by_products, compile=False).on_tape
    with pytest.raises(NotImplementedError, match="no second derivative"):
        ag.grad(ag.grad(lambda a: k(a, 3)))(2.0)


# --- what is refused, with its line ----------------------------------------------------------------------------------


def pair(x):
    return x, x * x


def parts(p):
    p[0] = 1.0 * p[0]
    return p[0] * p[1]


REFUSED = {
    "    try:\n        x = x * 2\n    except ValueError:\n        pass\n    return x": (2, "try is not supported"),
    "    y = [x * k for k in range(3)]\n    return y[0]": (2, "a comprehension"),
    "    g = lambda v: v * v\n    return g(x)": (2, "a lambda"),
    "    with open('f'):\n        return x": (2, "with is not supported"),
    "    y = x * 2\n    del y\n    return x": (3, "del is not supported"),
    "    y = {1: x}\n    return y[1]": (2, "a dict"),
    "    while (y := x) > 1:\n        x = x / 2\n    return x": (2, ":="),
    "    y = x\n    y = np.fft.fft(np.ones(3) * x)\n    return y": (3, "np.fft.fft is not known"),
    "    return x.tobytes()": (2, "the method .tobytes is not known"),
    "    x.real = 3\n    return x": (2, "assignment to x.real"),
    "    for i in range(3):\n        x = x * 2\n    else:\n        x = 0.0\n    return x": (2, "else after a loop"),
    "    for k in {1, 2}:\n        x = x * k\n    return x": (2, "a set"),
    "    y = nowhere * x\n    return y": (2, "nowhere is not defined"),
    "    if x > 1:\n        return x, x\n    return x": (4, "returns 1 values here and 2 elsewhere"),
    "    if x > 1:\n        return x": (1, "none on others"),
    "    if x > 1:\n        y = 1.0\n    else:\n        y = np.ones(2)\n    return y": (2, "use two names"),
    "    y = np.ones(3)\n    return y[0.5] * x": (3, "an index must be a whole number"),
    "    return x * 1j": (2, "no real number"),
    "    return np.linalg.norm(np.ones(3) * x, 1)": (2, "without options"),
    "    global z\n    return x": (2, "global is not supported"),
    "    y = x[0]\n    return y": (2, "is a number and has no parts"),
    "    yield x": (2, "yield"),
    "    return f(*[x])": (2, "starred"),
    "    a, b = x, x, x\n    return a": (2, "3 values for 2 names"),
    "    return x and 3.0": (2, "and/or"),
    "    p = (x, x * x)\n    return p[0] * p[1]": (2, "(x, x * x) as a value; give each of its parts a name"),
    "    p = (x, x * x)\n    a, b = p\n    return a * b": (2, "as a value"),
    "    s = 0.0\n    for e in (x, x * x):\n        s += e\n    return s": (3, "as a value"),
    "    return [x, x * x][1]": (2, "as a value"),
    "    return np.sum((x, x * x))": (2, "as a value"),
    "    return max([x, x * 2])": (2, "as a value"),
    "    return g((x, x * x))": (2, "as a value"),
    "    a, b = (x, x * x) if x > 0 else (x * x, x)\n    return a": (2, "as a value"),
    "    a = np.zeros(2)\n    a[:] = (x, x * x)\n    return a[1]": (3, "as a value"),
    "    return np.sum(np.where((x > 0, x < 1), x, 0.0))": (2, "as a value"),
    "    k = 1\n    return pair(x)[k]": (3, "pair(x) returns 2 values; give each a name"),
    "    return pair(x)[2]": (2, "pair(x) returns 2 values; give each a name"),
    "    p = pair(x)\n    return p[0]": (2, "returns 2 values"),
    "    a, b, c = pair(x)\n    return a": (2, "3 names for a call that returns 2"),
    "    return np.sum(np.linspace(0.0, x, 5))": (2, "no gradients flow through the arguments of np.linspace"),
    "    return np.sum(np.arange(0.0, 3 * x, x))": (2, "no gradients flow through the arguments of np.arange"),
    "    y = np.ones((2, 3)) * x\n    return np.transpose(y, (0, 0))[0, 0]": (3, "axes (0, 0) of an array of float64"),
    "    y = np.ones((2, 3)) * x\n    return y.transpose(0, 2)[0, 0]": (3, "each of its axes is needed once"),
    "    y = np.ones((2, 3)) * x\n    k = 0\n    return y.transpose(k, 1)[0, 0]": (
        4,
        "axes must be written as a number",
    ),
    "    return np.ravel(np.ones((2, 2)) * x, order='F')[0]": (2, "the argument order"),
    "    return (np.ones((2, 2)) * x).ravel(order='F')[0]": (2, "the argument order"),
    "    return np.reshape(np.ones(4) * x, (2, 2), order='F')[0, 0]": (2, "the argument order"),
    "    return math.log(x, 2, 3)": (2, "math.log is not known with 3 arguments"),
    "    return ag.sin(x)": (
        2,
        "ag.sin is a function of tensors, and this source is run on numbers and arrays; write np.sin",
    ),
    "    return ag.atan2(x, x)": (2, "write np.arctan2"),
    "    return ag.sum(x)": (2, "write np.sum"),
    "    return ag.softmax(x, 0)": (2, "write it with NumPy's or math's functions, or use ag.grad"),
    "    return round(x, 2) * x": (2, "round is not known with 2 arguments"),
    "    return np.add(x, 1.0, dtype=np.float32)": (2, "the argument dtype; known are: x, y"),
    "    return np.sum(np.full(2, np.ones(2) * x))": (2, "np.full of an array"),
    "    y = np.ones((2, 2, 2, 2)) * x\n    return np.sum(y * y)": (3, "up to three axes"),
    "    y = np.ones(3) * x\n    z = (y if x > 0 else y * 2)[1:]\n    return z[0]": (3, "a choice of arrays inside an"),
    "    y = np.ones(3) * x\n    return y[0] if x > 0 and g(y) > 0 else x": (3, "inside and/or"),
    "    return np.maximum((1, 2), x)[0]": (2, "np.maximum((1, 2), x)"),
}


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: re.sub(r"\s+", " ", body)[:40])
def test_what_is_not_supported_is_named_with_its_line(body):
    line, words = REFUSED[body]
    f = function(f"def f(x):\n{body}\n", math=math, pair=pair, g=parts, ag=ag)
    with pytest.raises(SourceError) as caught:
        ag.source_grad(f, compile=False)(1.5)
    assert words in str(caught.value) and f"line {line}:" in str(caught.value), str(caught.value)
    assert caught.value.lineno == line and caught.value.text == linecache.getline(f.__code__.co_filename, line)


def test_what_is_no_function_with_source_is_refused():
    with pytest.raises(TypeError, match="written in Python"):
        ag.source_grad(np.sin)
    scope = {}
    exec("def f(x):\n    return x", scope)
    with pytest.raises(SourceError, match="source of f is not to be found"):
        ag.source_grad(scope["f"])
    with pytest.raises(SourceError, match=r"\*args"):
        ag.source_grad(lambda *xs: xs[0])


def test_a_lambda_and_a_compiled_function_are_read_too():
    square = lambda x: x**2 + 1.0
    assert ag.source_grad(square, compile=False)(3.0) == 6.0
    if COMPILED:
        numba = pytest.importorskip("numba")
        assert ag.source_grad(numba.njit(F.newton), compile=False)(4.0) == pytest.approx(0.25)


RIGHT = {
    "    a, (b, c) = x, (x * 2, x * 3)\n    return a * b * c": 1.5,
    "    (a, b), c = pair(x), x\n    return a * b * c": 1.5,
    "    (a, b), c = (x, x * x), x\n    return a * b * c": 1.5,
    "    a, b = np.array([x, x * x], dtype=np.float64)\n    return a * b": 1.5,
    "    n, m = 2, 3\n    return np.sum(np.ones((n, m))) * x": 1.5,
    "    k = (1, 2)\n    return x * k[1] * len(k)": 1.5,
    "    return np.sum(np.full(3, fill_value=x))": 1.5,
    "    return np.clip(x, a_min=0.0, a_max=1.0) + np.clip(x, 0.0, 2.0)": 1.5,
    "    return np.logaddexp(x, 1)": 1.5,
    "    return np.sum(np.linspace(0.0, 1.0, num=5) * x)": 1.5,
    "    return np.sum(np.matmul(x, x.T) ** 2)": M,
    "    a, b, c = x\n    return a[0] * b[1] * c[2]": M,
    "    return np.sum(x.astype(np.float64) ** 2)": M,
    "    return np.sum(x.T.reshape(9) ** 2 * np.arange(9.0))": M,
    "    return np.sum(np.sin(x) ** 2)": M.reshape(1, 3, 3, 1),
    "    y = x * 1.0\n    z = y if x[0] > 0 else x\n    z[0] = 5.0\n    return np.sum(y * y)": X,
    "    y = x * 1.0\n    z = one_of(y, x, x[1])\n    z[0] = 5.0 * x[1]\n    return np.sum(y * y) * x[0]": X,
    "    y = x * 1.0\n    for i in range(3):\n        z = y if i % 2 else x\n        z[i] *= z[0]\n    return np.sum(y * x)": X,
    "    y = x * 1.0\n    (y if x[0] > 0 else x)[0] = 2.0\n    return np.sum(y * x)": X,
    "    y = x * 1.0\n    return doubled(y if x[0] < 0 else x) * y[0] * x[0]": X,
    "    y = x * 1.0\n    return y[0] + doubled(y)": X,
    "    y = x * 1.0\n    return np.sum(y[:2] * doubled(y)) + y.sum() * doubled(y)": X,
    "    y = x * 1.0\n    return np.sum(np.array([y[0], doubled(y), y[0]]))": X,
    "    y = x * 1.0\n    y[0] += doubled(y)\n    return np.sum(y * y)": X,
    "    y = x * 1.0\n    y[int(doubled(y))] = y[0] * x[2]\n    return np.sum(y * y)": X,
    "    y = x * 1.0\n    if doubled(y) > 0:\n        return np.sum(y * y)\n    return y[1]": X,
    "    y = x * 1.0\n    while doubled(y) < 2.0:\n        y[1] *= y[0]\n    return np.sum(y * y)": X,
    "    y = x * 1.0\n    for e in y:\n        y = y * e\n    return np.sum(y)": X,
    "    return pair(x)[1] * pair(x + pair(x)[0])[-1]": 1.5,
    "    y = pair(x)[1]\n    y[0] = 2.0 * x[1]\n    return pair(y)[1][0] * y[1]": X,
    "    return math.log(x, 2) + math.log(2, x) + math.log(x * x, x + 3.0)": 1.5,
    "    y = np.ones((2, 3, 4)) * x\n    z = np.transpose(y, (2, 0, 1))\n    z[1] *= x\n    return np.sum(y ** 2)": 1.5,
    "    y = np.transpose(x, (1, 0)) * x\n    return np.sum(y.transpose(-1, 0) * np.arange(3.0))": M,
    "    y = np.sin(x.transpose((2, 3, 0, 1)))\n    return np.sum(np.transpose(y, axes=(3, 1, 0, 2)) ** 2)": (
        M.reshape(1, 3, 3, 1)
    ),
    "    y = x[:, 0].transpose(2, 0, 1) * x[0].transpose(0, 1, 2)\n    return np.sum(y ** 2)": M.reshape(1, 1, 9, 1),
}


def doubled(y):
    y[0] = y[0] * 2
    return y[0]


def one_of(a, b, c):
    return a if c > 0 else b


@pytest.mark.parametrize("body", RIGHT, ids=lambda body: re.sub(r"\s+", " ", body)[:40])
def test_forms_of_values_and_arguments(body):
    names = dict(math=math, pair=pair, doubled=doubled, one_of=one_of)
    check(function(f"def f(x):\n{body}\n", **names), (RIGHT[body],), 0, compile=False)


def test_a_reshape_that_would_copy_is_refused_when_it_is_run():
    f = function("def f(x):\n    y = x.reshape(9)\n    return np.sum(y * y)\n")
    check(f, (M,), 0, compile=False)
    with pytest.raises(ValueError, match="line 2: an array that is not contiguous"):
        G(f)(M.T)
    with pytest.raises(AssertionError, match="2 names for another number of values"):
        G(function("def f(x):\n    a, b = x\n    return a * b\n"))(X)


# --- which function is read ------------------------------------------------------------------------------------------

G = lambda f, *args: ag.source_grad(f, *args, compile=False)
PAIR = [lambda x: x**2, lambda x: x**3]
NESTED = lambda k: lambda x: x * k  # the word lambda in a comment
LINES = lambda x: (
    x  # over several lines
    * x
)


def twice(f):
    @functools.wraps(f)
    def both(x):
        return 2 * f(x)

    return both


@twice
def decorated(x):
    return x * x


def of_tensors(x):
    y = x * 2.0
    return ag.sin(y)


def slope_at(f, x):
    return G(f)(x)


def test_of_several_lambdas_the_one_given_is_read():
    assert [G(f)(2.0) for f in PAIR] == [4.0, 12.0]
    assert G(NESTED(4.0))(1.0) == 4.0 and G(LINES)(3.0) == 6.0
    assert {r.route: r.verdict for r in ag.compare(lambda x: x * x, 0.5).rows}["source"] == "agrees"
    assert slope_at(lambda x: x * x, 0.5) == 1.0 and slope_at(lambda x: (x) + 1.0, 1.0) == 1.0
    assert (slope_at(lambda x: x, 1.0), slope_at(lambda x: x * 2 if x > 0 else -x, -1.0)) == (1.0, -1.0)
    assert "lambda" and slope_at(lambda x, k=3: x**k, 1.0) == 3.0


def test_a_decorated_function_is_what_it_was_decorated_to_be():
    assert decorated(3.0) == 18.0 and G(decorated)(3.0) == 12.0


def test_functions_of_tensors_are_refused_by_that_reason():
    with pytest.raises(
        SourceError, match=r"line \d+: ag.sin is a function of tensors, and this source is run on numbers"
    ):
        G(of_tensors)(1.0)


def at_places(x, i, j):
    y = x * 2.0
    y[i] = x[0]
    return y[1] * x[j]


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_compiled_source_stays_within_its_arrays():
    g = ag.source_grad(at_places)
    assert np.array_equal(g(np.array([1.0, 2.0, 3.0]), 0, -1), [0.0, 6.0, 4.0])
    for i, j in ((3, 0), (-4, 0), (0, 5), (0, -4)):
        with pytest.raises(IndexError):
            g(np.ones(3), i, j)


def averages(A):
    return np.sum(np.mean(A, axis=0) ** 2)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_what_numba_does_not_compile_runs_as_python():
    with pytest.raises(TypeError, match="Numba does not compile averages.*compile=False"):
        ag.source_grad(averages)(M)
    check(averages, (M,), 0, compile=False)


def test_a_zero_cotangent_selects_nothing():
    def f(x):
        y = np.log(x)
        return np.sum(np.where(x > 0, y, 0.0))

    with np.errstate(all="ignore"):
        x = np.array([0.0, -1.0, 2.0])
        assert np.array_equal(ag.source_grad(f, compile=False)(x), [0.0, 0.0, 0.5])
        assert np.array_equal(ag.grad(f)(x), [0.0, 0.0, 0.5])


@pytest.mark.parametrize("compile", [False, True])
def test_negative_powers_of_whole_numbers(compile):
    def f(x):
        s = 0.0
        for i in range(1, 5):
            s += x * i**-2 + i**-x
        return s

    value, slope = ag.source_grad(f, compile=compile).value_and_grad(1.5)
    assert value == pytest.approx(f(1.5)) and slope == pytest.approx(ag.grad(f)(1.5))
