"""Symbols: derivatives that follow from the ops' declarations, the simplifier, printing; and what must be refused."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import programs

import autograd_core as ag
import nn
from autograd_core import symbolic
from autograd_core.op import REGISTRY
from autograd_core.symbolic import RULES, symbols, trace

X, Y, A, B = symbols("x y a b")


def rows(*values):
    return np.array(values, float)


# --- the books' numbers ----------------------------------------------------------------------------------------------


def test_K_S06_a_function_of_named_scalars():
    f = trace(lambda a, b, c, d, e: (a - b + c) * d / e)
    assert f.evaluate(a=1, b=2, c=3, d=4, e=5) == 1.6
    assert f.function("a", "b", "c", "d", "e")(1, 2, 3, 4, 5) == 1.6


def test_K_S08_scalars_and_matrices_in_one_expression():
    e = trace(lambda a, b, c, d, p, q, r, s, u: (((a * p) + (b - q) - (c + r)) * d / s) * u)
    m = lambda v: np.full((2, 2), v)
    got = e.evaluate(a=m(1), b=m(2), c=m(5), d=m(3), p=1.0, q=2.0, r=3.0, s=4.0, u=5.0)
    assert np.array_equal(got, m(-26.25))
    assert np.array_equal(trace(lambda a, b, c, d: (a + b - c) * d).evaluate(a=m(1), b=m(2), c=m(5), d=m(3)), m(-6.0))


def test_K_S11_the_gradient_is_an_expression_that_follows_what_it_is_given():
    z = trace(lambda x, y: (x**2 + y) * x)
    slope = z.derivative(X)
    assert str(slope) == "3*x**2 + y"
    x = rows([1, 2, 3])
    for y, value, gradient in (rows([4, 5, 6]), 68, [7, 17, 33]), (rows([1, 1, 1]), 42, [4, 13, 28]):
        assert z.evaluate(x=x, y=y).sum() == value
        assert np.array_equal(slope.evaluate(x=x, y=y), [gradient])


def test_K_S12_cross_entropies_of_rows_that_do_not_sum_to_one():
    p, t = np.full((3, 3), 0.01), np.tile([0.99, 0.99, 0.01], (3, 1))
    binary = trace(lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)))
    assert binary.evaluate(p=p, t=t).mean() == pytest.approx(3.058146503109446, rel=1e-15)
    categorical = trace(lambda p, t: -t * np.log(p))
    assert categorical.evaluate(p=p, t=t).sum(-1) == pytest.approx(np.full(3, 9.164288670), rel=1e-9)
    assert categorical.derivative("p").same(-trace(lambda t, p: t / p))


def test_K_S13_penalties():
    x = rows([0, 1, 3])
    for f, value, slope in (np.abs, 4.0, [0, 1, 1]), (np.square, 10.0, [0, 2, 6]):
        assert trace(f, "x").evaluate(x=x).sum() == value
        assert np.array_equal(trace(f, "x").derivative().evaluate(x=x), [slope])


def test_K_S17_the_slope_of_a_logarithm_is_finite_where_it_has_no_value():
    assert math.isnan(np.log(X).evaluate(x=-0.5)) and np.log(X).derivative().evaluate(x=-0.5) == -2.0


def test_K_S18_hinge_loss_by_maximum_and_by_a_switch():
    x, y = rows(-2, -1, 0, 1, 2), np.ones(5)
    forms = [np.maximum(1 - X * Y, 0), ag.where(X * Y < 1, 1 - X * Y, 0)]
    for hinge in forms:
        assert np.array_equal(hinge.evaluate(x=x, y=y), [3, 2, 1, 0, 0])
        assert np.array_equal(hinge.derivative(X).evaluate(x=rows(-2, 0, 3), y=np.ones(3)), [-1, -1, 0])


def test_K_S19_a_power_by_repeated_products():
    def power(a):
        result = a
        for _ in range(4):
            result = result * a
        return result

    e = trace(power)
    assert e.evaluate(a=2) == 32.0 and e.simplify().same(A**5) and e.derivative().same(5 * A**4)


def test_K_S45_the_sum_rule_and_the_power_rule():
    f = trace(lambda x: 2 * x**3 + x**2)
    assert str(f.derivative("x")) == "6*x**2 + 2*x"
    assert [str(f.derivative(order=k)) for k in (2, 3, 4)] == ["12*x + 2", "12", "0"]
    assert [(str(e), str(d)) for e, d in symbolic.steps(f)] == [
        ("x**3", "3*x**2"), ("2*x**3", "6*x**2"), ("x**2", "2*x"), ("2*x**3 + x**2", "6*x**2 + 2*x"),
    ]  # fmt: skip


def test_K_S46_K_S47_the_length_of_a_vector():
    f = trace(lambda x1, x2: np.sqrt(x1**2 + x2**2))
    at = {"x1": 1, "x2": 2}
    assert f.evaluate(at) == pytest.approx(2.2360680, abs=5e-8)
    assert [d.evaluate(at) for d in f.gradient()] == pytest.approx([0.4472136, 0.8944272], abs=5e-8)
    assert [str(d) for d in f.gradient()] == ["x1/sqrt(x1**2 + x2**2)", "x2/sqrt(x1**2 + x2**2)"]


def test_K_A17_a_gradient_is_differentiable_again():
    f = np.sin(X) * Y**2
    assert f.derivative(X, Y).same(f.derivative(Y, X)) and str(f.derivative(X, Y)) == "2*y*cos(x)"
    assert [[str(h) for h in row] for row in f.hessian()] == [
        ["-y**2*sin(x)", "2*y*cos(x)"],
        ["2*y*cos(x)", "2*sin(x)"],
    ]


def test_K_A07_the_derivative_of_a_product_of_functions_swells_and_the_tape_does_not():
    report = symbolic.swell(lambda x: np.sin(x) * np.exp(x * np.cos(x)) / (1 + x**2), 3)
    written, shared, tape = ([getattr(o, k) for o in report.orders] for k in ("written", "shared", "tape"))
    assert all(after > 4 * before for before, after in zip(written, written[1:]))
    assert all(s <= w for s, w in zip(shared, written)) and shared[3] < written[3] / 5
    assert tape[1] < 2 * shared[1] and tape[3] < written[3] / 3 and written[0] == tape[0] == 8
    assert str(report).splitlines()[-1].split()[:2] == ["3", f"{written[3]:,}"]


def test_K_A20_targets_where_the_second_derivative_of_an_activation_is_largest():
    f = trace(lambda x: 1.7159 * np.tanh(2 * x / 3))
    at = 1.5 * math.atanh(1 / math.sqrt(3))
    assert f.derivative(order=3).evaluate(x=at) == pytest.approx(0, abs=1e-15)
    bend = f.derivative(order=2)
    assert abs(bend.evaluate(x=at)) > max(abs(bend.evaluate(x=at + d)) for d in (-0.1, 0.1))
    assert f.evaluate(x=at) == pytest.approx(0.99, abs=0.005), "nearly 1, the target"


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x if x > 0 else -x, "branch or loop depends on the value of x > 0"),
        (lambda x: [x for _ in iter(lambda: bool(x < 3), False)], "branch or loop"),
        (lambda x: math.sin(x), "np.sin, not math.sin"),
        (lambda x: sum(x for _ in range(x)), "an index asks for the value"),
        (lambda x: [y for y in x], "a loop asks for the value"),
        (lambda x: int(x), "int()"),
        (lambda x: x.item(), "item()"),
        (lambda x: np.sum(x), "leave it out"),
        (lambda x: x @ x, "not elementwise"),
        (lambda x: x * np.ones(3), "make it an argument"),
        (lambda x: x * ag.tensor([1.0]), "make it an argument"),
        (lambda x: "x", "is no number"),
    ],
)
def test_what_depends_on_data_or_axes_is_refused_with_its_line(f, words):
    with pytest.raises(TypeError, match="symbolic|numpy") as caught:
        trace(f, "x")
    assert words in str(caught.value) and "test_symbolic.py" in str(caught.value)


# --- every op --------------------------------------------------------------------------------------------------------


def elementwise_ops():
    ops = [op for op in REGISTRY.values() if op.elementwise and op.differentiable and op.samples and op.outputs == 1]
    return [
        op for op in ops if op.name not in ("complex", "imag", "dropped")
    ]  # which are of more than entries that are real numbers


@pytest.mark.parametrize("op", elementwise_ops(), ids=lambda op: op.name)
def test_the_derivative_of_every_elementwise_op_is_what_the_tape_says(op):
    rng, checked = np.random.default_rng(0), 0
    for sample in op.samples * 3:
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        if op.variadic or any(np.asarray(a).dtype.kind == "c" for a in arrays) or len(arrays) != len(op.inputs):
            continue
        names = [f"v{k}" for k in range(len(arrays))]
        e = op.call(*symbols(names), **params)
        tensors = [ag.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        y = op.call(*tensors, **params)
        if not y.requires_grad or not y.shape == np.broadcast_shapes(*(a.shape for a in arrays)):
            continue
        for name, a, rule in zip(names, tensors, op.rules or [None] * len(names)):
            if a.requires_grad and rule is not None:
                got = e.derivative(name).evaluate(dict(zip(names, arrays)))
                (wanted,) = ag.gradient(y.sum(), [a], retain_graph=True)
                total = np.broadcast_to(got, y.shape)
                lead = y.ndim - a.ndim
                axes = tuple(k for k in range(y.ndim) if k < lead or (a.shape[k - lead] == 1 != y.shape[k]))
                total = total.sum(axes, keepdims=True).reshape(a.shape)
                np.testing.assert_allclose(total, wanted.value, rtol=1e-9, atol=1e-10)
                checked += 1
    assert checked or op.name in ("filled", "copysign", "view_as_real"), "no sample was of use"


@settings(max_examples=200, deadline=None)
@given(programs())
def test_symbols_agree_with_the_tape(program):
    names = program.function.__code__.co_varnames[: len(program.point)]
    e, at = trace(program.function), dict(zip(names, program.point))
    value, gradient = ag.value_and_grad(program.function, tuple(range(len(names))))(*program.point)
    assert e.evaluate(at) == pytest.approx(value, rel=1e-9)
    for name, slope in zip(names, gradient):
        assert e.derivative(symbolic.symbol(name)).evaluate(at) == pytest.approx(slope, rel=1e-7, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(programs(most=5))
def test_simplifying_keeps_the_value_and_is_done_at_once(program):
    e = trace(program.function)
    at = dict(zip(program.function.__code__.co_varnames, program.point))
    short = e.simplify()
    assert short.evaluate(at) == pytest.approx(e.evaluate(at), rel=1e-7, abs=1e-9)
    assert short.simplify() is short
    assert e.expand().evaluate(at) == pytest.approx(e.evaluate(at), rel=1e-6, abs=1e-8)


@settings(max_examples=200, deadline=None)
@given(programs(most=6))
def test_what_is_printed_as_python_is_what_it_was(program):
    e = trace(program.function)
    scope = {"ag": ag, **{s.name: s for s in e.symbols()}}
    assert eval(e.python(), scope).simplify().same(e.simplify())
    exec(e.python("f"), scope)
    point = dict(zip(program.function.__code__.co_varnames, map(np.float64, program.point)))
    assert scope["f"](**{s.name: point[s.name] for s in e.symbols()}) == pytest.approx(e.evaluate(point), rel=1e-12)


# --- the simplifier --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.line)
def test_both_sides_of_a_rule_are_equal(rule):
    rng = np.random.default_rng(1)
    for _ in range(20):
        at = {s.name: rng.uniform(0.1, 0.9) for s in rule.left.symbols()} | {"c": bool(rng.integers(2))}
        assert rule.left.evaluate(at) == pytest.approx(rule.right.evaluate(at), rel=1e-12)
    if rule.line.startswith(("sqrt(x**2)", "abs(abs", "abs(-", "abs(x)**2", "sgn", "sin(-", "cos(-", "tan(-")):
        assert rule.left.evaluate(x=-0.7) == pytest.approx(rule.right.evaluate(x=-0.7))


@pytest.mark.parametrize(
    ("e", "short"),
    [
        (X + X, "2*x"),
        (X - X, "0"),
        (X * X * X, "x**3"),
        (X / X, "1"),
        (X**0 + (X + Y) ** 0, "2"),
        (X / 3 + X / 6, "x/2"),
        (2 * (X + Y) - Y, "2*x + y"),
        (-(X - Y), "y - x"),
        (np.sqrt(X) * np.sqrt(X), "x"),
        (np.sqrt(X**2), "abs(x)"),
        (np.exp(X) * np.exp(Y), "exp(x + y)"),
        (np.exp(X) / np.exp(X), "1"),
        (np.log(np.exp(X * Y)), "x*y"),
        (X**Y * X, "x**(y + 1)"),
        ((X**2) ** 3, "x**6"),
        (1 / (1 / X), "x"),
        (3 * np.sin(X) ** 2 * Y + 3 * Y * np.cos(X) ** 2, "3*y"),
        (5 - 5 * np.sin(X) ** 2, "5*cos(x)**2"),
        (np.sin(-2 * X), "-sin(2*x)"),
        (np.sin(X) / np.cos(X), "tan(x)"),
        (ag.where(X > 0, X, X), "x"),
        (np.maximum(X, X), "x"),
        (np.cos(X * 0), "1"),
        (0.1 + 0.2 + X * 0, "0.30000000000000004"),
        (np.sqrt(4 + 0 * X), "2"),
        (np.sqrt(2 + 0 * X), "sqrt(2)"),
        (X * 0.1, "0.1*x"),
        (7 / (2 * X), "7/(2*x)"),
        (-1 / X, "-1/x"),
        ((X - Y) ** 2 - (Y - X) ** 2, "0"),
        ((X - Y) / (Y - X), "-1"),
        ((1 - X) * -(Y + 2), "(y + 2)*(x - 1)"),
        (-((1 / (X - Y)) ** 3) + 2, "2 + 1/(y - x)**3"),
        (Y + A * (1 - X), "y + a*(1 - x)"),
        (np.cos(X) ** 4 + np.sin(X) ** 2 * np.cos(X) ** 2, "cos(x)**2"),
        (X * np.sin(Y) / (2 * np.cos(Y)), "x*tan(y)/2"),
    ],
    ids=str,
)
def test_expressions_in_short(e, short):
    assert str(e.simplify()) == short


def test_expanding_and_taylor_polynomials():
    assert ((X + 1) ** 3).expand().same(X**3 + 3 * X**2 + 3 * X + 1)
    assert ((X + Y) * (X - Y)).expand().same(X**2 - Y**2)
    assert str(symbolic.taylor(np.exp(X), X)) == "x**4/24 + x**3/6 + x**2/2 + x + 1"
    assert str(symbolic.taylor(np.sin(X), X, order=5)) == "x**5/120 - x**3/6 + x"
    assert symbolic.taylor(lambda x: x**3 - x, "x", at=1, order=1).same(2 * X - 2)
    for call in (symbolic.taylor, symbolic.swell):
        with pytest.raises(ValueError, match="whole number from 0 on, got -1"):
            call(X**2, *("x",) * (call is symbolic.taylor), order=-1)
    assert symbolic.taylor(np.log(X), X, at=1, order=3).evaluate(x=1.1) == pytest.approx(0.1 - 0.005 + 0.001 / 3)


def test_a_rule_of_ones_own():
    double = symbolic.Rule("sin(x) * cos(x) -> sin(2 * x) / 2")
    assert str(double.apply((np.sin(Y) * np.cos(Y)).simplify())) == "sin(2*y)/2"
    assert double.apply((np.sin(Y) * np.cos(X)).simplify()) is None
    with pytest.raises(ValueError, match="pattern -> replacement"):
        symbolic.Rule("sin(x)")
    with pytest.raises(ValueError, match="letters are a, b, c, n, x, y, z; .*'q' is not defined"):
        symbolic.Rule("sin(q) -> q")


def test_the_rule_of_an_op_as_a_formula():
    assert symbolic.formula("mul") == "d a*b = a*db + b*da"
    assert symbolic.formula("tanh") == "d tanh(x) = dx*(1 - tanh(x)**2)"
    with pytest.raises(ValueError, match="not the name of an elementwise op"):
        symbolic.formula("matmul")


# --- printing, values ------------------------------------------------------------------------------------------------


def test_latex():
    cases = {
        np.sqrt(X**2 + 1) / Y: r"\frac{\sqrt{x^{2} + 1}}{y}",
        (X + Y) * A: r"\left(x + y\right) a",
        np.exp(-X) * np.sin(trace(lambda theta_1: theta_1)): r"e^{-x} \sin\left(\theta_{1}\right)",
        X - (Y - A): r"x - \left(y - a\right)",
        -(X**2): "-x^{2}",
        (-X) ** 2: r"\left(-x\right)^{2}",
        X * 2: r"x \cdot 2",
        np.abs(X) * 1e-5: r"\left|x\right| \cdot 1 \cdot 10^{-5}",
    }
    for e, text in cases.items():
        assert e.latex() == text
    assert (X + 1)._repr_latex_() == r"$\displaystyle x + 1$"


SIGNS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: ag.abs(a) ** b,
    "<": lambda a, b: ag.where(a < 1.5, a, b),
    "==": lambda a, b: ag.where(a == b, a + b, b),
    "and": lambda a, b: ag.where(ag.logical_and(a, b), a, b),
    "or": lambda a, b: ag.where(ag.logical_or(a > b, (b > 1) == (a < 2)), a, b),
    "masked": lambda a, b: REGISTRY["masked"].call(a, b > 1),
    "where": lambda a, b: ag.where(a > b, b, a),
    "max": lambda a, b: np.maximum(a, b),
}
MARKS = {
    "-": lambda a: -a,
    "**2": lambda a: a**2,
    "**-1": lambda a: a**-1,
    "sin": np.sin,
    "-2*": lambda a: -2.0 * a,
    "*-2": lambda a: a * -2,
    "--": lambda a: a - -0.5,
    "3%": lambda a: 3.0 % a,
    "//-3": lambda a: a // -3.0,
    "2**": lambda a: 2.0**a,
}
LEAVES = st.sampled_from([X, Y, A])


def larger(inner):
    one = st.builds(lambda f, a: f(a), st.sampled_from(list(MARKS.values())), inner)
    return one | st.builds(lambda f, a, b: f(a, b), st.sampled_from(list(SIGNS.values())), inner, inner)


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, larger, max_leaves=8))
def test_every_sign_is_printed_so_that_python_reads_it_alike(e):
    point = {"x": np.float64(1.7), "y": np.float64(-0.6), "a": np.float64(2.3)}
    scope = {"ag": ag, **point}
    scope |= {name: getattr(symbolic.functions, name) for name in dir(symbolic.functions)}
    with np.errstate(all="ignore"):
        try:
            exec(e.python("f"), scope)
            found = [
                eval(repr(e), scope),
                eval(e.python(), scope),
                scope["f"](**{s.name: point[s.name] for s in e.symbols()}),
            ]
        except ArithmeticError:  # Python's own numbers have no infinity and no quotient by zero
            return
        value = e.evaluate(point)
    if not any(isinstance(v, complex) for v in found):
        assert np.allclose(np.array(found, float), float(value), rtol=1e-9, equal_nan=True), str(e)


@pytest.mark.parametrize(
    ("e", "python", "latex"),
    [
        (-(X // Y), "-(x//y)", r"-\left\lfloor\frac{x}{y}\right\rfloor"),
        (-(X % Y), "-(x%y)", r"-\left(x \bmod y\right)"),
        ((-X) % Y, "-x%y", r"\left(-x\right) \bmod y"),
        (-(X % Y * A), "-(x%y*a)", r"-\left(x \bmod y\right) a"),
        (X % Y * A, "x%y*a", r"\left(x \bmod y\right) a"),
        (-(X * Y), "-x*y", "-x y"),
        ((X < Y) < A, "(x < y) < a", r"\left(x < y\right) < a"),
        (ag.logical_and(X, Y), "logical_and(x, y)", r"x \land y"),
        (ag.logical_and(X > 0, Y > 0), "(x > 0) & (y > 0)", r"\left(x > 0\right) \land \left(y > 0\right)"),
    ],
    ids=str,
)
def test_signs_before_quotients_and_remainders(e, python, latex):
    assert str(e) == python and e.latex() == latex


def test_the_derivative_of_a_remainder_prints_as_what_it_is():
    slope = (X % Y).derivative("y")
    assert eval(slope.python(), {"ag": ag, "x": 7.0, "y": -2.0}) == slope.evaluate(x=7.0, y=-2.0) == 4.0


def test_printed_names_are_free():
    t1, library = symbols("t1 ag")
    shared = np.exp(t1) + 1 / np.exp(t1)
    assert run(shared, t1=0.5) == pytest.approx(shared.evaluate(t1=0.5))
    assert run(np.exp(library), ag=0.5) == pytest.approx(math.exp(0.5))
    with pytest.raises(ValueError, match="substitute one"):
        np.exp(library * symbols("autograd_core")[0]).python()
    for word in ("lambda", "None", "2x"):
        with pytest.raises(ValueError, match="a name that Python takes"):
            symbolic.symbol(word)


def run(e, **values):
    scope = {"ag": ag, "autograd_core": ag}
    exec(e.python("f"), scope)
    return scope["f"](**values)


@pytest.mark.parametrize("op", [op for op in REGISTRY.values() if op.elementwise], ids=lambda op: op.name)
def test_the_printed_source_of_every_elementwise_op_runs(op):
    rng, checked = np.random.default_rng(0), 0
    for sample in op.samples:
        inputs, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        if op.variadic or len(inputs) != len(op.inputs) or any(np.iscomplexobj(a) for a in inputs):
            continue
        names = [f"v{k}" for k in range(len(inputs))]
        if any(isinstance(v, np.ndarray) for v in params.values()):
            continue
        e = op.call(*symbols(names), **params)
        at = dict(zip(names, inputs))
        np.testing.assert_allclose(run(e, **at), e.evaluate(at), rtol=1e-12)
        if all(a.size for a in inputs):
            one = {n: float(a.flat[0]) for n, a in at.items()}
            assert np.allclose(run(e, **one), e.evaluate(one), equal_nan=True)
        checked += 1
    assert checked or not op.samples or op.name in UNREAL


UNREAL = {"imag", "filled", "dropped", "view_as_real"}  # of more than entries that are real numbers


@pytest.mark.parametrize("name", "gelu softplus silu mish elu selu celu hardswish leaky_relu logsigmoid".split())
def test_activations_take_numbers(name):
    f = getattr(nn.functional, name)
    wanted = f(np.array([0.7]))[0]
    assert f(0.7) == pytest.approx(wanted) == trace(f, "x").evaluate(x=0.7) == run(trace(f, "x"), x=0.7)
    with pytest.raises(TypeError, match="expected real floating-point numbers"):
        f(1)


def test_python_computes_what_occurs_twice_once():
    e = np.exp(X * Y) + 1 / np.exp(X * Y)
    assert e.python("f") == "def f(x, y):\n    t1 = ag.exp(x*y)\n    return t1 + 1/t1\n"
    assert [str(v) for v in (X**-2, (X**2) ** Y, X - (Y - A), X / (Y * A), -(X + Y), (X + Y) ** 2, 2**X)] == [
        "x**-2", "(x**2)**y", "x - (y - a)", "x/(y*a)", "-(x + y)", "(x + y)**2", "2.0**x",
    ]  # fmt: skip


def test_substituting():
    e = X**2 + Y
    assert e.substitute(x=Y + 1).same((Y + 1) ** 2 + Y)
    assert e.substitute({X: 2}).simplify().same(Y + 4)
    assert e.substitute(x=Y, y=X).same(Y**2 + X), "at once, not one after the other"
    with pytest.raises(ValueError, match="no symbol z in it; there are: x, y"):
        e.substitute(z=1)


def test_evaluating_on_everything():
    e = np.tanh(X) * Y
    assert isinstance(e.evaluate(x=1, y=2), float)
    assert e.evaluate(x=np.ones((2, 3), np.float32), y=2.0).dtype == np.float32
    x = ag.tensor([0.1, 0.2], requires_grad=True)
    e.evaluate(x=x, y=3.0).sum().backward()
    assert np.allclose(x.grad.value, e.derivative(X).evaluate(x=x.value, y=3.0))
    assert ag.vmap(lambda v: e.evaluate(x=v, y=1.0))(np.ones(4)).shape == (4,)
    with pytest.raises(ValueError, match="no value for y"):
        e.evaluate(x=1)
    for call in (e.evaluate, e.substitute):
        with pytest.raises(TypeError, match="values are given by names, as x=2, or as a dict, got int"):
            call(2)
    with pytest.raises(TypeError, match="takes 2 arguments"):
        e.function()(1)


def test_what_was_not_selected_has_no_slope():
    e = ag.where(X > 0, np.log(X), 0)
    assert np.array_equal(e.derivative().evaluate(x=rows(-1, 0, 2)), [0, 0, 0.5])
    relu = ag.relu(X * np.log(Y))
    assert relu.derivative(Y).evaluate(x=1.0, y=0.0) == 0.0


def test_equal_expressions_are_one_object():
    assert (X + Y) is (X + Y) and (X + Y) is not (Y + X) and len({X, X, Y}) == 2
    assert (X == Y).op.name == "eq" and X.same(trace(lambda x: x)) and not X.same(Y)


def test_expressions_are_copied_pickled_and_formatted():
    e = np.sin(X * 2.5) / (Y**3 + 1)
    assert copy.deepcopy({"e": e})["e"] is e and copy.copy(e) is e and pickle.loads(pickle.dumps(e)) is e
    assert f"{X + Y:>8}" == "   x + y"


def test_errors_of_derivatives():
    with pytest.raises(ValueError, match="say by which symbol: x, y"):
        (X * Y).derivative()
    with pytest.raises(ValueError, match="whole number"):
        X.derivative(order=-1)
    with pytest.raises(TypeError, match="by a symbol"):
        X.derivative(X * Y)
    with pytest.raises(TypeError, match="expected a function"):
        trace(3)
    with pytest.raises(ValueError, match="a name that Python takes"):
        symbols(["x y"])
    assert (3 + 0 * X).derivative(symbols("z")[0]).same(0) and (X + Y).derivative("x", "y").same(0)
    for call in (lambda e: e.derivative("X"), lambda e: symbolic.steps(e, "X"), lambda e: symbolic.taylor(e, "X")):
        with pytest.raises(ValueError, match="no symbol X in it; there are: x, y"):
            call(X * Y)
    with pytest.raises(ValueError, match="no value for y; given: x, Y"):
        (X * Y).evaluate(x=1, Y=2)
    assert (X**2).derivative("x", order=2).evaluate(x=1.0) == 2.0, "a derivative may have lost a symbol"
    assert [slope.evaluate({"x": 5.0, "y": 3.0}) for slope in (2 * X + Y**2).gradient()] == [2.0, 6.0]
    assert (2 * X).function("y", "x")(5.0, 3.0) == 6.0


@pytest.mark.parametrize("e", [np.log(X), 1 / X, np.sqrt(X), Y * np.log(X) + 1, X**1.5], ids=str)
def test_where_there_is_no_taylor_polynomial(e):
    near = {"x": 1.01, "y": 1.0}
    with pytest.raises(ValueError, match="has no finite value at x = 0"):
        symbolic.taylor(e, X)
    assert symbolic.taylor(e, X, at=1, order=2).evaluate(near) == pytest.approx(e.evaluate(near), abs=1e-6)


@pytest.mark.parametrize("step", [np.sin, lambda e: 1 / (1 + e), lambda e: e * 1.001 + X, lambda e: e + np.sin(e)])
def test_chains_of_thousands_of_operations(step):
    e = X
    for _ in range(3000):
        e = step(e)
    small = 1e-6
    if step is not np.sin:
        small = 1e-9
    slope = e.derivative()
    x = ag.tensor(0.3, dtype=ag.float64, requires_grad=True)
    (wanted,) = ag.gradient(e.evaluate(x=x), [x])
    assert slope.evaluate({"x": 0.3}) == pytest.approx(wanted.item(), rel=small)
    assert e.python("f").count("ag.") < 7000


def test_long_sums_are_brought_in_order():
    total = X
    for k in range(1, 1500):
        total = total + k * Y
    assert str(total.simplify()) == "x + 1124250*y"


def test_hundreds_of_terms_and_factors_are_brought_in_order():
    waves = [(np.sin(k * X), np.cos(k * X)) for k in range(1, 200)]
    assert sum(s**2 + c**2 for s, c in waves).simplify().same(199)
    for whole in (sum(s for s, _ in waves), math.prod(s * Y for s, _ in waves)):
        backward = whole
        for s, _ in waves:
            backward = backward - s if whole.op.name == "add" else s * (backward / Y) / s**2
        assert str(backward.simplify()) in ("0", "1")
    nested = Y
    for s, _ in waves:
        nested = X * s + nested  # to the right
    assert (nested - Y).simplify().same((X * sum(s for s, _ in waves)).expand())


@given(st.integers(-6, 6), st.integers(1, 6))
def test_powers_of_powers(p, q):
    e = (X**p) ** q if p else X
    assert e.simplify().evaluate(x=1.3) == pytest.approx(e.evaluate(x=1.3)) if e.symbols() else True


def test_changes_in_place_of_symbols_are_those_of_numbers():
    def f(x):
        s = y = x * 1.0
        s += x
        s *= 2
        s -= 1
        s /= x
        s **= 2
        return s + y

    e = trace(f)
    assert e.evaluate(x=3.0) == pytest.approx(f(3.0))
    assert e.derivative().evaluate(x=3.0) == pytest.approx(ag.grad(f)(3.0))


def test_a_factor_that_takes_on_a_minus_meets_its_own_powers():
    for u, x, y in ((Y - X, 0.375, 1.875), (X - Y, 1.875, 0.375), (2 * Y - X, 0.375, 1.875)):
        slope, at = (u**u).derivative("y"), {"x": x, "y": y}
        value = u.evaluate(at)
        inner = u.derivative("y").evaluate()
        assert slope.evaluate(at) == pytest.approx(inner * value**value * (math.log(value) + 1))
