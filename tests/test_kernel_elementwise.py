"""Loops over large arrays: what they compute, where they are used, and what a gradient rule becomes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.fused import Pull
from autograd_core.kernels import _jit
from autograd_core.kernels import elementwise as loops
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.op import REGISTRY
from autograd_core.ops import activations
from autograd_core.tensor import at

compiled = pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
RNG = np.random.default_rng(0)
ONE = ["exp", "tanh", "sigmoid", "sin", "relu", "sqrt", "neg", "abs"]
TWO = ["add", "div", "maximum", "minimum"]
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-40, -1e-40, 1e30, -1e30, 1.0]


def numbers(count: int, dtype: type) -> np.ndarray:
    """Ordinary numbers, and special ones among them."""
    x = RNG.normal(0, 2, count)
    x[:: max(count // 20, 1)] = np.resize(SPECIAL, len(x[:: max(count // 20, 1)]))
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def same(y: np.ndarray, wanted: np.ndarray) -> None:
    """Equal up to a few units in the last place."""
    assert y.dtype == wanted.dtype and y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=8 * np.finfo(y.dtype).eps, atol=0)


def plain_numpy(name: str, *arrays: np.ndarray) -> np.ndarray:
    """What NumPy makes of it."""
    forward = REGISTRY[name].forward
    with np.errstate(all="ignore"):
        return getattr(forward, "small", forward)(*arrays)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_one_input(name, dtype):
    for shape in [(1,), (2, 3), (16,), (97,), (3 * loops.MOST + 5,), (50, 1001)]:
        x = numbers(math.prod(shape), dtype).reshape(shape)
        same(loops.run(loops.whole(loops.program(name, (True,)), x.dtype), x, (x,))[0], plain_numpy(name, x))


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TWO)
def test_two_inputs(name, dtype):
    for count in (1, 97, 3 * loops.MOST + 5):
        x, y = numbers(count, dtype), numbers(count, dtype)[::-1].copy()
        same(loops.run(loops.whole(loops.program(name, (True, True)), x.dtype), x, (x, y))[0], plain_numpy(name, x, y))
        number = dtype(0.3)
        same(
            loops.run(loops.whole(loops.program(name, (True, False)), x.dtype), x, (x, float(number)))[0],
            plain_numpy(name, x, number),
        )
        same(
            loops.run(loops.whole(loops.program(name, (False, True)), x.dtype), x, (float(number), x))[0],
            plain_numpy(name, number, x),
        )


ALIKE = [
    name for name, op in REGISTRY.items()
    if name in loops.STEPS and name != "gelu_slope" and len(op.inputs) <= 2 and not op.defaults
]  # fmt: skip


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ALIKE)
def test_loops_and_numpy_agree_on_zeros_infinities_and_nan(name, dtype):
    """As replays are loops whatever the size: the sign of a zero is the same too."""
    special = [*SPECIAL, -2.0, 0.5, -3.0, 3.0]
    x, y = (np.array(v, dtype) for v in zip(*itertools.product(special, special), strict=True))
    given = [at(v) for v in (x, y)][: len(REGISTRY[name].inputs)]
    function = ag.compile(REGISTRY[name].call)
    with np.errstate(all="ignore"):
        function(*given), function(*given)
        wanted, found = REGISTRY[name].call(*given).numpy(), function(*given).numpy()
    assert function.cache_info().replays == 1
    same(found, wanted) if wanted.dtype.kind == "f" else np.testing.assert_array_equal(found, wanted)
    zero = wanted == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(wanted[zero]))


@settings(max_examples=25)
@given(data=st.data())
def test_ops_give_what_numpy_gives_for_any_layout(data):
    """Whatever the shape, the strides and the type are, and on either side of the size from which loops are used."""
    name = data.draw(st.sampled_from([*ONE, *TWO]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.float16]))
    large = data.draw(st.booleans())
    shape = data.draw(
        st.sampled_from([(70001,), (300, 250), (2, 200, 200)] if large else [(), (0,), (1,), (3, 0), (4, 5)])
    )
    order = data.draw(st.sampled_from(["C", "F", "reversed", "every second", "read-only", "broadcast"]))
    arrays = []
    for _ in range(2 if name in TWO else 1):
        x = np.abs(numbers(math.prod(shape), dtype)).reshape(shape)
        if order == "F":
            x = np.asfortranarray(x)
        elif order == "reversed" and x.ndim:
            x = x[::-1]
        elif order == "every second" and x.ndim:
            x = np.repeat(x, 2, -1)[..., ::2]
        elif order == "read-only":
            x.flags.writeable = False
        elif order == "broadcast" and x.size:
            x = np.broadcast_to(x[:1] if x.ndim else x, x.shape)
        arrays.append(x)
    with np.errstate(all="ignore"):
        y = REGISTRY[name].call(*[at(x) for x in arrays]).numpy()
    wanted = np.asarray(plain_numpy(name, *arrays))
    np.testing.assert_array_equal(y, wanted) if dtype is np.float16 else same(np.asarray(y), wanted)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "gelu", "sin", "erfc"])
def test_an_entry_gives_the_same_bits_wherever_it_is_in_a_loop(name, dtype):
    """By two vectors at a time, or among what is left over."""
    x = numbers(100, dtype)
    x = x[abs(x) < 5] if name == "gelu" else x  # which is rounded otherwise where a number is far away
    calculate = loops.whole(loops.program(name, (True,)), np.dtype(dtype))
    alone = [loops.run(calculate, x[k : k + 1], [x[k : k + 1]])[0].tobytes() for k in range(len(x))]
    for n in range(1, len(x)):
        (y,) = loops.run(calculate, x[:n], [x[:n]])
        assert y.tobytes() == b"".join(alone[:n])


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "log"])  # sines of large numbers are rounded otherwise than near ones
@pytest.mark.parametrize("place", [0, 70, loops.PIECE - 1, loops.PIECE, 3 * loops.PIECE + 5])
def test_entries_that_the_quick_way_is_not_for_change_no_other(name, dtype, place):
    """Wherever they are; and they are what they are alone."""
    f, count = getattr(ag, name), 4 * loops.PIECE + 9
    special = np.array([*SPECIAL, 1e5, 1e6, 86.5, 87.4, -87.4, -100, 708.5, -720], dtype)
    x = RNG.uniform(0.1, 80, count).astype(dtype)
    with np.errstate(all="ignore"):
        wanted = f(x)
        alone = [f(np.full(64, v))[0] for v in special]
        for value, result in zip(special, alone, strict=True):
            y = x.copy()
            y[place] = value
            expected = wanted.copy()
            expected[place] = result
            np.testing.assert_array_equal(f(y), expected)


@compiled
@pytest.mark.skipif("gelu" not in loops.quick_ways(), reason="the processor does not pick out of tables")
@pytest.mark.parametrize("name", ["gelu", "gelu_slope"])
def test_the_quick_way_near_the_middle_of_the_normal_distribution(name):
    """Where one polynomial ends and the next begins, up to where the last ends, and on either side of that."""
    f, ends = REGISTRY[name].forward, np.sqrt(np.arange(32) + 0.5).astype("f")
    x = np.concatenate([ends, np.nextafter(ends, 0), np.nextafter(ends, 9), np.linspace(0, 5.61, 50001, dtype="f")])
    x = np.concatenate([x, -x, [1e-40, -1e-40, 0, -0.0]]).astype("f")
    x = x[abs(x) <= 5.61]
    wanted = f.small(x.astype("d"))
    with np.errstate(all="ignore"):
        near, far = f(x), [f(np.append(part, 6).astype("f"))[:-1] for part in np.split(x, range(100, len(x), 100))]
    density = np.exp(-(x.astype("d") ** 2) / 2)  # the slope is a sum of parts of this size, and somewhere 0
    bound = 2.0**-22 * abs(wanted) if name == "gelu" else 2.0**-21 * np.maximum(abs(wanted), density / 4)
    for y in (near, np.concatenate(far)):
        assert (abs(y - wanted) <= bound + 1e-45).all()
        assert name != "gelu" or (np.signbit(y) == np.signbit(wanted)).all()
    assert (near != np.concatenate(far)).any(), "there is no other way"


def test_loops_go_by_two_vectors_at_a_time_where_that_is_quicker():
    by = {
        name: loops.turns(loops.program(name, (True,)).steps) for name in ("exp", "gelu", "gelu_slope", "sqrt", "rsqrt")
    }
    assert by == {"exp": "paired", "gelu": "paired", "gelu_slope": "range", "sqrt": "range", "rsqrt": "range"}
    assert loops.turns(["t0 = x0 * x1", "t1 = t0 + silu(x0)"]) == "paired"
    assert loops.turns(["t0 = gelu(x0)", "t1 = gelu_slope(x0)"]) == "range"


@compiled
def test_any_number_of_threads_gives_the_same_bits():
    x = numbers(5 * loops.MOST + 777, np.float32)
    x[loops.MOST + 3] = 1e9  # sines of large numbers take another way, and gelu, in some pieces
    before = get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            set_num_threads(count)
            t = ag.tensor(x, requires_grad=True)
            y = ag.sin(t) * ag.tanh(t) * activations.gelu(t)
            y.backward(ag.tensor(np.ones_like(x)))
            results.append((y.detach().numpy().tobytes(), t.grad.numpy().tobytes()))
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


# --- gradient rules --------------------------------------------------------------------------------------------------

FUSED = """
    mul div reciprocal square sqrt rsqrt power pow exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh
    cosh tanh asinh atanh sigmoid logit atan2 logaddexp hypot xlogy abs maximum minimum fmax fmin clamp relu erf erfc
    gelu gelu_tanh silu mish softplus elu leaky_relu hardtanh hardswish hardshrink softshrink threshold log_sigmoid
""".split()


def example(op, dtype, count):
    """Operands in (0.1, 0.9), and static parameters."""
    params = {
        "power": {"exponent": 3}, "clamp": {"low": 0.2, "high": 0.7}, "softplus": {"beta": 2.0, "threshold": 1.2},
        "softplus_slope": {"beta": 2.0, "threshold": 1.2},
        "elu": {"alpha": 1.5, "rate": 1.0, "scale": 1.1}, "leaky_relu": {"slope": 0.2},
        "hardtanh": {"low": 0.3, "high": 0.6}, "hardshrink": {"size": 0.5}, "softshrink": {"size": 0.5},
        "threshold": {"threshold": 0.5, "value": 0.1},
    }.get(op.name, {})  # fmt: skip
    return [RNG.uniform(0.1, 0.9, count).astype(dtype) for _ in op.inputs], params


def step_by_step(program, *operands):
    """What a program does, one entry after the other, in plain Python."""
    functions = {n: REGISTRY[n].forward for n in loops.STEPS if n in loops.SCOPE and n in REGISTRY}
    functions = {n: getattr(f, "small", f) for n, f in functions.items()} | {"sqrt": np.sqrt, "pow": np.power}
    functions |= {"softplus": lambda x: np.logaddexp(0, x), "inf": math.inf, "nan": math.nan}
    scope = functions | {"paired": range, "like": lambda x, v: type(x)(v), "near": 1e5, "far": 5.61}
    scope |= {f"near_{n}": functions[n] for n in loops.QUICK} | {"single": lambda x: x.itemsize == 4}
    scope |= {"pick": lambda x, single, double: type(x)(single if x.itemsize == 4 else double)}
    scope |= {"far_from": lambda low, x: x if x >= low else np.inf}
    exec(program.source(), scope)
    outs = [np.empty_like(operands[0]) for _ in program.results]
    told = [np.zeros(1 + len(outs), int)] * program.looks
    scope["loop"](0, len(outs[0]), *operands, *outs, *told)
    return outs


def pulled(name, dtype, count, monkeypatch=None):
    """The cotangents that the loop of an op's rules gives, and those that the rules give."""
    op = REGISTRY[name]
    plan = op.plan((1 << len(op.inputs) + 1) - 1)
    xs, params = example(op, dtype, count)
    env = plan.save(op.forward(*xs, **params), *xs, **params)
    g = RNG.normal(size=count).astype(dtype)
    if monkeypatch:
        monkeypatch.setattr(loops, "whole", lambda program, dtype: program)
        looked_at = lambda program, x, operands, count: tuple(step_by_step(program, *operands))
        monkeypatch.setattr(loops, "looked_at", looked_at)
    cotangents = Pull(plan, lambda g, env: None)(g, env)
    assert cotangents is not None, "left to NumPy"
    with np.errstate(all="ignore"):
        return list(zip(cotangents, plan.careful(g, env)))


def close(ct, wanted, dtype):
    assert ct.dtype == dtype
    np.testing.assert_allclose(ct, wanted, rtol=64 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", FUSED)
def test_rules_become_loops(name, monkeypatch):
    """What is written down does what the rule does, in the type of the operands."""
    for dtype in (np.float32, np.float64):
        for ct, wanted in pulled(name, dtype, 20, monkeypatch):
            close(ct, wanted, dtype)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mul", "div", "tanh", "maximum", "clamp", "gelu"])
def test_loops_of_rules(name, dtype):
    for ct, wanted in pulled(name, dtype, 1000):
        close(ct, wanted, dtype)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mul", "sin", "tanh"])
def test_loops_of_rules_say_what_they_have_written(name, dtype):
    """NaN anywhere, in any result, and a result that is all zero; the quick way of `sin` may be left in the middle."""
    op, count = REGISTRY[name], 2 * loops.MOST + 5
    plan = op.plan((1 << len(op.inputs) + 1) - 1)
    pull, seen = Pull(plan, lambda g, env: None), set()
    ordinary = {"x": RNG.uniform(0.5, 1, count).astype(dtype), "g": RNG.uniform(0.5, 1, count).astype(dtype)}
    for what, value, places in [
        ("g", 1.0, [0]), ("g", math.nan, [loops.MOST]), ("g", math.nan, [count - 1]), ("x", math.nan, [5]),
        ("g", 0.0, slice(None)), ("g", 0.0, slice(1, None)), ("g", -0.0, slice(None)), ("x", 0.0, slice(None)),
        ("x", 1e6, [count // 2]), ("x", math.inf, [count // 2]), ("g", 1e-42, slice(None)), ("g", math.inf, [7]),
    ]:  # fmt: skip
        given = {n: v.copy() for n, v in ordinary.items()}
        given[what][places] = value
        xs = [given["x"], np.full(count, 0.5, dtype)][: len(op.inputs)]
        with np.errstate(all="ignore"):
            y = op.forward(*xs)
        made = pull(given["g"], plan.save(y, *xs))
        clean = all(not np.isnan(ct).any() and ct.any() for ct in made)
        assert isinstance(made, loops.Sound) == clean, (what, value, places)
        seen.add(clean)
    assert len(seen) == 2


@compiled
def test_gradients_that_spoil_each_other_are_looked_at():
    """Each loop has written neither NaN nor nothing but zeros; what becomes of it in the walk is both."""
    for f, said in [
        (lambda x: x.sqrt() - x.sqrt(), "NaN"),
        (lambda x: x.exp() - x.exp(), "zero"),
        (lambda x: x.exp() - x.exp() + x.exp() - x.exp(), "zero"),
    ]:
        x = ag.tensor(np.zeros(3 * loops.LARGE), requires_grad=True)
        with np.errstate(all="ignore"):
            f(x).sum().backward()
        assert f"gradient was {said}" in ag.explain(x)
    number = ag.tensor(2.0, requires_grad=True)
    ends = ag.tensor(np.resize([math.inf, -math.inf], 3 * loops.LARGE))
    with np.errstate(all="ignore"):
        (number * ends).backward(ag.tensor(np.ones(3 * loops.LARGE)))
    assert "gradient was NaN" in ag.explain(number)


@compiled
def test_numbers_among_the_operands():
    """A Python number, an array without axes, and a cotangent that is the same everywhere."""
    x = RNG.uniform(0.5, 2, 3 * loops.LARGE).astype(np.float32)
    for other in (2, 0.7, ag.tensor(np.float32(0.7))):
        t = ag.tensor(x, requires_grad=True)
        (g,) = ag.gradient((t / other * t).sum(), [t])
        assert g.dtype == np.float32
        np.testing.assert_allclose(g.numpy(), 2 * x / np.float32(float(other)), rtol=1e-6)


def test_a_rule_with_another_type_is_left_to_numpy():
    x = RNG.uniform(0.5, 2, 3 * loops.LARGE)
    for dtype in (np.float16, np.complex64):
        t = ag.tensor(x.astype(dtype), requires_grad=True)
        (g,) = ag.gradient((t * t).abs().sum(), [t])
        np.testing.assert_allclose(g.numpy(), (2 * x).astype(dtype), rtol=2e-3)


def test_large_arrays_that_are_broadcast():
    x, row = RNG.normal(size=(300, 200)), RNG.normal(size=200)
    a, b = ag.tensor(x, requires_grad=True), ag.tensor(row, requires_grad=True)
    ga, gb = ag.gradient((a * b).tanh().sum(), [a, b])
    slope = 1 - np.tanh(x * row) ** 2
    np.testing.assert_allclose(ga.numpy(), slope * row)
    np.testing.assert_allclose(gb.numpy(), (slope * x).sum(0))


def test_what_is_not_selected_stays_zero_in_large_arrays():
    x = np.resize(np.array([-1.0, 0.0, 2.0]), 3 * loops.LARGE)
    t = ag.tensor(x, requires_grad=True)
    with np.errstate(all="ignore"):
        (g,) = ag.gradient(ag.where(t > 0, ag.log(t), 0.0).sum(), [t])
    assert g.numpy()[:3].tolist() == [0.0, 0.0, 0.5]


def test_second_order_of_large_arrays():
    x = RNG.normal(size=2 * loops.LARGE)
    t = ag.tensor(x, requires_grad=True)
    (g,) = ag.gradient(t.tanh().sum(), [t], create_graph=True)
    (h,) = ag.gradient(g.sum(), [t])
    np.testing.assert_allclose(h.numpy(), -2 * np.tanh(x) * (1 - np.tanh(x) ** 2), rtol=1e-12, atol=1e-15)


def test_gradients_do_not_share_memory_with_anything():
    """A gradient in memory that is used again is kept as it is, and still nobody else's."""
    x = RNG.normal(size=1 << 19).astype(np.float32)
    t = ag.tensor(x, requires_grad=True)
    y = t.tanh()
    y.backward(ag.tensor(np.ones_like(x)))
    first = t.grad.numpy().copy()
    for _ in range(3):
        (t.detach().exp() * 2).sum()
    assert np.array_equal(t.grad.numpy(), first)
    u = ag.tensor(x, requires_grad=True)
    (u.tanh() + u.exp()).backward(ag.tensor(np.ones_like(x)))
    expected = 1 - np.tanh(x) ** 2 + np.exp(x)  # of which the first two, of size 1, nearly cancel each other
    np.testing.assert_allclose(u.grad.numpy(), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "softplus", "sum", "amax", "var"])
def test_a_type_may_carry_notes_of_its_owner(name):
    x = np.linspace(-1, 1, 200).astype(np.dtype("f4", metadata={"unit": "m"}))
    f = getattr(ag, name, None) or getattr(activations, name)
    assert np.allclose(f(ag.from_numpy(x)).numpy(), f(ag.from_numpy(x.astype("f8"))).numpy(), rtol=1e-5)
