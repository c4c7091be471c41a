"""The gradient laboratory: differences, dual numbers, traces, drawings, comparisons, the tour."""

import csv
import io
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from programs import Program, programs

import autograd_core as ag
import nn
from autograd_core import numeric
from autograd_core.__main__ import main
from autograd_core.lab import layout

ROOT = Path(__file__).parent.parent
length = lambda x1, x2: ag.sqrt(x1**2 + x2**2)
quick = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


# --- all routes on programs drawn at random --------------------------------------------------------------------------


ROUTES = ["tape", "duals", *(f"{method} differences" for method in numeric.SCHEMES), "symbolic"]


def agreed(program: Program, routes: list[str]) -> ag.lab.Comparison:
    """The comparison of a program's routes, after those that are not compared there have agreed with the tape."""
    numbers = tuple(range(len(program.point)))
    found = ag.compare(program.function, *program.point, argnums=numbers, routes=routes)
    trace = ag.wengert(program.function, *program.point)
    others = {
        "source": ag.source_grad(program.function, numbers, compile=False)(*program.point),
        "tangents": trace.results[0].tangents,
        "adjoints": [line.adjoint for line in trace.lines[: len(numbers)]],
    }
    tape = found["tape"]
    for route, slopes in others.items():
        assert np.all(np.abs(np.array(slopes) - tape.gradient) <= 2 * tape.stated), (route, slopes, tape)
    assert np.isclose(trace.results[0].value, program.function(*program.point), rtol=1e-12)
    return found.require()


@quick
@given(programs())
def test_all_routes_agree_within_what_they_state(program: Program):
    found = agreed(program, ROUTES)
    assert all(row.verdict == "agrees" for row in found), found


@quick
@given(programs(control=True))
def test_all_routes_agree_over_branches_loops_and_recursion(program: Program):
    found = agreed(program, ["tape", "duals", "richardson differences", "symbolic"])
    branches = "if " in program.source.partition("def program")[2]
    assert [row.route for row in found if row.verdict != "agrees"] == ["symbolic"] * branches, found


def written_for_numpy(x, y):
    """A loop, a branch and NumPy's functions."""
    for _ in range(3):
        x = x + 0.1 * np.sin(y) if x > 0 else x * y
    return np.sqrt(x**2 + y**2)


def test_generated_source_is_one_of_the_routes():
    found = ag.compare(written_for_numpy, 1.0, 2.0, argnums=(0, 1), routes=["tape", "symbolic", "source"]).require()
    assert found["source"].verdict == "agrees" and found["source"].evaluations == 0
    assert found["symbolic"].verdict.startswith("refused: symbolic: a branch or loop depends on the value")
    assert "several entries" in ag.compare(lambda x: x.sum(), np.ones(2), routes=["symbolic"])["symbolic"].verdict


@quick
@given(programs())
@example(Program("def program(a):\n    t0 = a * a\n    t1 = np.sqrt(t0)\n    t2 = a - t1\n    return t2\n", (0.938,)))
@example(Program("def program(a, b):\n    t0 = b - a\n    t1 = np.log(1.0 + t0 * t0)\n    return t1\n", (1.43, 1.43)))
def test_second_differences_agree_with_the_tape(program: Program):
    f = lambda v: program.function(*v)
    exact = ag.hessian(f)(np.array(program.point))
    for method in ("central", "complex"):
        estimate = numeric.hessian(f, method=method)(np.array(program.point))
        # terms that cancel leave the tape's own rounding, which differences of exact zeros do not have
        assert np.all(abs(estimate.value - exact) <= estimate.error + 1e-12), (method, estimate, exact)


# --- differences -----------------------------------------------------------------------------------------------------


def test_estimates_take_the_form_of_what_was_asked_for():
    f = lambda p, k: (p["w"] * k).sum() * p["b"][0]
    tree = {"w": np.ones((2, 3)), "b": [2.0]}
    found = numeric.grad(f)(tree, 3)
    assert found.value["w"].shape == (2, 3) and np.allclose(found.value["w"], 6) and found.agrees(ag.grad(f)(tree, 3))
    assert isinstance(found.value["b"][0], float) and np.isclose(found.value["b"][0], 18)
    t = numeric.grad(lambda x: (x**2).sum())(ag.tensor([1.0, 2.0])).value
    assert isinstance(t, ag.Tensor) and np.allclose(t.value, [2, 4])
    first, second = numeric.jacobian(lambda x, y: (x * y, y.sum()), (0, 1))(np.ones(2), np.ones(2)).value
    assert np.allclose(first[0], np.eye(2)) and np.allclose(first[1], np.eye(2)) and np.allclose(second[1], 1)
    h = numeric.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 2.0, "b": 3.0})
    assert h.agrees({"a": {"a": 6.0, "b": 4.0}, "b": {"a": 4.0, "b": 0.0}})


def test_differences_own_up_to_noise_inside_a_function():
    noisy = lambda x: (x + 1e9) - 1e9
    for method in ("forward", "central", "richardson"):
        found = numeric.grad(noisy, method=method)(0.3)
        assert abs(found.value - 1) <= found.error and found.error > 1e-12


def test_steps_shrink_where_a_domain_is_near_its_border():
    found = numeric.grad(ag.log, method="central")(1e-9)
    assert abs(found.value - 1e9) <= found.error < 1e3


SHAPES = {  # functions that only what is near tells of, and their slopes
    "peak": (lambda u: np.exp(-u * u), lambda u: -2 * u * np.exp(-u * u)),
    "wave": (np.sin, np.cos),
    "pole": (lambda u: 1 / u, lambda u: -1 / u**2),
    "square pole": (lambda u: u**-2, lambda u: -2 * u**-3.0),
    "root": (np.sqrt, lambda u: 0.5 / np.sqrt(u)),
}


@quick
@given(
    st.sampled_from(list(SHAPES)),
    st.floats(-8, 8).map(lambda p: 10.0**p),
    st.floats(0.1, 3),
    st.sampled_from(list(numeric.SCHEMES)),
)
def test_functions_of_any_width_have_the_error_that_is_stated(shape, width, u, method):
    f, slope = SHAPES[shape]
    found = numeric.grad(lambda x: f(x / width), method=method)(u * width)
    exact = slope(u) / width
    assert abs(found.value - exact) <= found.error + 1e-13 / width * (1 + abs(slope(u))), found
    assert found.error < 1e-3 / width * (1 + abs(slope(u)) + abs(u) ** -4), found


@pytest.mark.parametrize("method", list(numeric.SCHEMES))
def test_steps_of_a_whole_number_of_waves_and_far_from_a_peak_are_not_taken(method):
    for f, x, exact in (
        (lambda x: np.sin(16 * np.pi * x), 0.25, 16 * np.pi),
        (lambda x: np.exp(-((x / 1e-4) ** 2)), 5e-5, -1e4 * np.exp(-0.25)),
        (lambda x: np.exp(-(((x - 3) / 1e-4) ** 2)), 3 + 5e-5, -1e4 * np.exp(-0.25)),
    ):
        found = numeric.grad(f, method=method)(x)
        assert abs(found.value - exact) <= found.error + 1e-6 < 1, found
    bend = numeric.hessian(lambda v: np.sin(16 * np.pi * v[0]) * v[1], method=method)(np.array([0.25, 1.0]))
    assert bend.agrees(np.array([[0, 16 * np.pi], [16 * np.pi, 0]])) and np.max(bend.error) < 2


def test_functions_get_what_was_given():
    def changed(x):
        a = b = x * 2
        b *= x
        return a * b

    assert numeric.grad(changed)(2.0).agrees(3 * 4 * 2.0**2) and np.isclose(numeric.grad(changed)(2.0).value, 48)
    assert np.isclose(numeric.grad(math.sin)(1.0).value, math.cos(1)), "which takes floats only"
    assert abs(numeric.grad(math.log)(1e-9).value - 1e9) < 1, "and refuses what is not in its domain"
    kinds = []
    numeric.grad(lambda t, n, x: [kinds.append([type(v) for v in (t, n, x)]), t.sum().item() + n[0] + x][1], (0, 1, 2))(
        ag.tensor([1.0]), np.ones(2), 3
    )
    assert all(k[:2] == [ag.Tensor, np.ndarray] and issubclass(k[2], float) for k in kinds)
    assert np.allclose(numeric.grad(lambda x: x.relu().sum())(np.ones(2)).value, 1), "methods that only tensors have"
    with pytest.raises(TypeError, match="takes no arrays"):
        numeric.grad(failing)(1.0)


def failing(x):
    raise TypeError("takes no arrays" if not isinstance(x, ag.Tensor) else "takes no tensors")


@pytest.mark.parametrize("method", list(numeric.SCHEMES)[:4])
def test_errors_reach_the_slopes_of_both_sides_of_a_corner(method):
    for f, left, right in ((abs, -1, 1), (ag.relu, 0, 1), (lambda x: np.maximum(3 * x, x - x**2), 1, 3)):
        found = numeric.grad(f, method=method)(0.0)
        assert (
            found.corners == [True]
            and found.agrees(left)
            and found.agrees(right)
            and not found.agrees(2.1 * right - left)
        )
    assert numeric.grad(lambda x: abs(x[0]) * x[1], method=method)(np.array([0.0, 2.0])).corners.tolist() == [
        True,
        False,
    ]


def test_complex_steps_are_refused_or_found_out_where_a_function_is_not_analytic():
    with pytest.raises(ValueError, match=r"returns real numbers for complex arguments.*richardson"):
        numeric.grad(lambda x: ag.abs(x), method="complex")(2.0)
    with pytest.raises(TypeError, match="complex steps do not suit the function: .*'complex' and 'int'"):
        numeric.grad(lambda x: x if x > 0 else -x, method="complex")(2.0)
    found = numeric.grad(lambda x: ag.conj(x) * x * x, method="complex")(2.0)
    assert abs(found.value - 12) <= found.error


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: numeric.grad(ag.sin, method="newton"), ValueError, "method must be one of forward, backward"),
        (lambda: numeric.grad(ag.sin, step=0.0), ValueError, "step must be a positive number"),
        (lambda: numeric.grad(3), TypeError, "function"),
        (lambda: numeric.grad(lambda x: x * 2)(np.ones(2)), ValueError, "must return one number.*numeric.jacobian"),
        (lambda: numeric.grad(ag.sin)(1j), TypeError, "an argument is complex"),
        (lambda: numeric.grad(lambda x: None)(1.0), ValueError, "must return one number, and returned nothing"),
        (lambda: numeric.grad(ag.sin)(math.nan), ValueError, "leaf 0 of the arguments is not finite"),
        (lambda: numeric.grad(lambda x, y: y, 1)(1.0, np.array([1, math.inf])), ValueError, "leaf 0 .* not finite"),
        (lambda: numeric.hessian(ag.sin, (0, 1)), TypeError, "argnums must be one number"),
        (lambda: ag.jvp(lambda x: numeric.grad(ag.sin)(x).value, (1.0,), (1.0,)), TypeError, "would be lost"),
    ],
)
def test_differences_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_curve_is_data_a_table_letters_and_a_plot():
    pytest.importorskip("matplotlib").use("agg")
    curve = numeric.curve(lambda x: ag.exp(x).sum(), np.zeros(2), methods=("forward", "central"), steps=[0.1, 0.01])
    assert np.allclose(curve.errors["forward"], [0.0517, 0.00502], rtol=1e-2)
    assert str(curve).count("\n") == 3 and "c" in curve.text() and "f" in curve.text()
    assert [line.get_label() for line in curve.plot().get_lines()] == ["forward", "central"]


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    curve = numeric.curve(ag.sin, 1.0, methods=("forward",), steps=[0.1])
    with pytest.raises(ImportError, match=r"Curve.plot needs matplotlib.*pip install matplotlib"):
        curve.plot()


# --- dual numbers ----------------------------------------------------------------------------------------------------


def test_duals_lift_numbers_and_mix_with_tensors_and_arrays():
    d = ag.Dual(3, 1)
    assert d.dtype == np.float64 and repr(d * d - 1) == "Dual(8.0, 6.0)" and repr(ag.Dual(2)) == "Dual(2.0, 0.0)"
    assert repr(np.sin(ag.Dual(0.0, 2.0))) == "Dual(0.0, 2.0)" and (d > 2) and not d == 2
    x = ag.Dual(np.arange(3.0), 1)
    assert np.array_equal(x.tangent.value, np.ones(3)) and repr((x * x).sum()) == "Dual(5.0, 6.0)"
    assert np.array_equal((x * ag.tensor([1.0, 2.0, 3.0])).tangent.value, [1, 2, 3])
    x.mul_(3.0)
    assert np.array_equal(x.primal.value, [0, 3, 6]) and np.array_equal(x.tangent.value, [3, 3, 3])
    w = ag.tensor(2.0, requires_grad=True)
    (ag.Dual(w, 1.0) ** 3).tangent.backward()
    assert w.grad == 12


def test_duals_of_duals_and_transforms_keep_their_tangents_apart():
    assert repr(ag.Dual(ag.Dual(2.0, 1.0), ag.Dual(1.0)) ** 3) == "Dual(Dual(8.0, 12.0), Dual(12.0, 12.0))"
    outside = ag.Dual(3.0, 1.0)
    y, t = ag.jvp(lambda x: x * outside, (2.0,), (1.0,))
    assert repr(y) == "Dual(6.0, 2.0)" and repr(t) == "Dual(3.0, 1.0)"
    assert ag.jvp(lambda x: x * (ag.Dual(0.0, 1.0) + x).tangent, (2.0,), (1.0,)) == (2, 1)
    assert ag.jvp(lambda x: (ag.Dual(x, 1.0) ** 3).tangent, (2.0,), (1.0,)) == (12, 12)
    assert ag.grad(lambda x: (ag.Dual(x, x) ** 3).tangent)(2.0) == 36
    assert np.array_equal(ag.vmap(lambda x: (ag.Dual(x, 1.0) ** 3).tangent)(np.arange(3.0)), [0, 3, 12])


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ((1.0, 1j), TypeError, "both real or the value complex, got float64 and complex128"),
        ((np.ones(2), np.ones(3)), ValueError, r"tangent has shape \(3,\), needed is that of the value, \(2,\)"),
        (("one",), TypeError, "expected numbers"),
    ],
)
def test_duals_say_what_is_wrong(parts, error, message):
    with pytest.raises(error, match=message):
        ag.Dual(*parts)


# --- traces ----------------------------------------------------------------------------------------------------------


def filled(x):
    """An array filled in a loop, through views, and changed in place."""
    h = ag.zeros(3, dtype=ag.float64)
    v = h[1:]
    for i in range(3):
        h[i] = x * i
    h.mul_(2.0)
    return (v * v).sum()


def test_a_trace_follows_changes_in_place():
    trace = ag.wengert(filled, 3.0)
    (end,) = trace.results
    assert end.value == 180 and end.tangents == [120] and trace["x"].adjoint == 120 == ag.grad(filled)(3.0)
    rows = [line.operation for line in trace]
    assert rows.count("put_view") == 3 and rows[-1] == "sum"


def test_a_trace_names_parameters_seeds_and_results_of_several():
    w = ag.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=ag.float64, requires_grad=True)

    def f(x):
        values, _ = ag.linalg.slogdet(w * x), None
        return values[1]

    trace = ag.wengert(f, 3.0)
    assert np.isclose(trace["p1"].adjoint, np.linalg.inv([[2.0, 0], [0, 1]])).all()
    assert np.isclose(trace.results[0].tangents[0], 2 / 3) and np.isclose(trace["x"].adjoint, 2 / 3)
    along = ag.wengert(
        lambda x: (x**2).sum(), np.array([1.0, 2.0]), seeds=[[np.array([1.0, 0.0])], [np.array([3.0, -1.0])]]
    )
    assert along.seeds == ["along 1", "along 2"] and along.results[0].tangents == [2, 2]
    tree = ag.wengert(lambda p, q: p[0] * p[1] * q["a"], (2.0, 3.0), {"a": 4.0})
    assert [line.name for line in tree][:3] == ["p.0", "p.1", "q.0"] and tree["q.0"].adjoint == 6


def test_a_trace_is_a_table_to_print_and_to_hand_on():
    trace = ag.wengert(length, 1, 2)
    assert str(trace).splitlines()[0].split() == ["line", "operation", "operands", "value", "d/dx1", "d/dx2", "adjoint"]
    rows = list(csv.DictReader(io.StringIO(trace.to_csv())))
    assert float(rows[-1]["value"]) == np.sqrt(5) and rows[2]["operands"] == "x1" and "length" not in rows[0]["where"]
    assert all(line.count("|") == 8 for line in trace.to_markdown().splitlines())
    assert re.search(r"test_lab.py:\d+ in <lambda>", rows[2]["where"])
    with pytest.raises(KeyError, match="no line is called 'v9'"):
        trace["v9"]


def test_tangents_have_the_type_of_what_moves():
    trace = ag.wengert(nn.Linear(2, 1), ag.ones(1, 2))
    assert {line.tangents[0].dtype for line in trace if line.kind in ("input", "call")} == {np.dtype("float32")}


def test_what_cannot_be_moved_has_neither_tangent_nor_adjoint():
    trace = ag.wengert(lambda x: x * (x > 1) + ag.tensor([5.0], dtype=ag.float64).detach(), 2.0)
    compared = next(line for line in trace if line.operation == "gt")
    assert compared.tangents == [None] and compared.adjoint is None and trace["x"].adjoint == 1
    with pytest.raises(TypeError, match="wengert: .*str"):
        ag.wengert(lambda x, how: x, 1.0, "up")
    assert len(ag.wengert(lambda x, how: x * 2, 1.0, "up", argnums=0)) == 2


# --- comparisons -----------------------------------------------------------------------------------------------------

wrong = ag.custom_vjp(lambda x: x**2)
wrong.defvjp(lambda x: (x**2, x), lambda x, g: (g * x,))


def test_a_wrong_gradient_fails_the_comparison():
    found = ag.compare(wrong, 3.0, routes=["tape", "richardson differences"])
    assert not found and found["richardson differences"].verdict == "disagrees"
    with pytest.raises(AssertionError, match=r"(?s)disagree\n.*richardson.*disagrees"):
        found.require()


def test_many_entries_are_compared_along_one_direction():
    w = np.random.default_rng(0).standard_normal((20, 20))
    found = ag.compare(lambda w: (ag.tanh(w) @ w).sum(), w).require()
    assert "one random direction; the arguments have 400 entries" in str(found) and found["duals"].evaluations == 1
    assert ag.compare(lambda w: (ag.tanh(w) ** 2).mean(), w.astype(np.float32)).require()
    right = lambda w: (w * 3).sum() * 0.0 + (w**2).sum()
    assert (
        ag.compare(right, w)
        and ag.compare(lambda w: right(w), w, most=1000, routes=["tape", "duals"])["duals"].evaluations == 400
    )
    assert not ag.compare(lambda w: wrong(w).sum(), w)


def test_comparisons_count_evaluations_and_say_what_does_not_apply():
    found = ag.compare(lambda x: x if x > 1 else x * x, 3.0)
    assert found["tape"].evaluations == 1 == found["duals"].evaluations < found["central differences"].evaluations
    assert found["complex differences"].verdict.startswith("refused: ") and found
    with pytest.raises(ValueError, match="no route 'spells'; there are tape, duals"):
        ag.compare(ag.sin, 1.0, routes=["spells"])
    with pytest.raises(KeyError, match="no route 'spells'"):
        found["spells"]


def test_gradients_that_are_none_do_not_pass():
    found = ag.compare(lambda x: x * x, math.nan)
    assert not found and found["tape"].verdict == found["symbolic"].verdict == "not finite"
    assert found["central differences"].verdict.startswith("refused: numeric.grad: leaf 0 of the arguments")
    assert not ag.compare(lambda x: ag.sqrt(x), 0.0, routes=["tape", "duals"]), "an infinite slope"
    assert ag.compare(lambda z: ag.abs(z) ** 2, 1 + 1j)["symbolic"].verdict.endswith("an argument is complex")
    for f in (lambda x: x * 2, lambda x: None):
        with pytest.raises((TypeError, ValueError), match="grad: the function"):
            ag.compare(f, np.ones(2))


def test_gradients_by_complex_numbers_are_compared():
    z = np.array([1 + 2j, 3 - 1j])
    for f, at in (
        (lambda z: abs(z) ** 2, 1 + 2j),
        (lambda z: (z**3).real.sum(), z),
        (lambda z: abs(z).sum(), np.tile(z, 60)),
    ):
        found = ag.compare(f, at).require()
        assert found["duals"].verdict == "agrees"
    assert not ag.compare(lambda z: wrong(z).real, 1 + 2j)


def test_a_corner_is_no_disagreement_but_a_wrong_slope_there_is():
    found = ag.compare(lambda w: ag.relu(w @ np.ones(2)), np.zeros(2)).require()
    assert found["central differences"].verdict == "corner" and np.allclose(found["central differences"].gradient, 0.5)
    assert ag.compare(lambda w: ag.relu(w).sum(), np.zeros(400)).require() and ag.compare(abs, 0.0).require()
    for slope, right in ((0.0, True), (0.7, True), (1.3, False), (-0.2, False)):
        f = ag.custom_vjp(lambda x: ag.relu(x))
        f.defvjp(lambda x: (ag.relu(x), None), lambda _, g, slope=slope: (g * slope,))
        found = ag.compare(f, 0.0, routes=["tape", "symbolic", "central differences", "backward differences"])
        assert bool(found) == right, found


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_what_the_tape_cannot_follow_is_compared_with_what_can():
    compiled = numba.njit(written_for_numba)
    found = ag.compare(compiled, 0.7).require()
    assert found.reference == "source" and {found[r].verdict for r in ("source", "richardson differences")} == {
        "agrees"
    }
    for route in ("tape", "duals", "symbolic"):
        assert found[route].verdict == "refused: " + (
            "compiled functions take numbers and arrays only; give the function before it was compiled (.py_func)"
        )
    assert "the tape was refused; errors are distances from what source gave" in str(found)
    only = ag.compare(math.sin, 1.0, routes=["central differences", "richardson differences"])
    assert not only and only.reference == "tape", "a float of a tensor has no history, and differences tell"
    with pytest.raises(IndexError):
        ag.compare(lambda x: x[7].sum(), np.ones(3))


def written_for_numba(x):
    total = 0.0
    for k in range(3):
        total += x**k * np.sin(x)
    return total


def test_passes_count_what_is_done():
    found = ag.lab.passes(lambda x: (x * ag.sin(x)).sum(), (1, 8))
    one, eight = found.costs
    assert eight.forward_operations == 8 * one.forward_operations and eight.reverse_operations == one.reverse_operations
    assert str(found).count("\n") == 3


# --- drawings --------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A residual block."""

    def __init__(self):
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)).relu() + x


def parsed(drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.to_svg())


def words(drawing) -> list[str]:
    return [t.text for t in parsed(drawing).iter("{http://www.w3.org/2000/svg}text")]


def test_the_drawing_of_a_function_has_values_and_derivatives():
    drawing = ag.draw(length, 1, 2, derivatives_on_edges=True)
    for text in (words(drawing), drawing.to_dot(), str(drawing)):
        assert all(part in text for part in ("x1", "square", "sqrt")) or "v4 = sqrt(v3)   2.236068" in text
    assert words(drawing).count("0.22361") == 1 and "2.236068" in words(drawing) and "keeps 8 B" in words(drawing)
    assert "d/dx1 = 2" in str(drawing) and "result" in str(drawing).splitlines()[-1]
    assert '-> v5 [label="0.22361"]' in drawing.to_dot()


def test_the_drawing_of_a_result_is_what_the_tape_holds():
    x = ag.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    w = ag.tensor(np.ones((3, 4), np.float32), requires_grad=True)
    y = ((x @ w).tanh() * x.sum()).sum()
    drawing = ag.draw(y, names={"x": x, "w": w}, derivatives_on_edges=True)
    assert {"x", "w", "matmul", "tanh", "mul", "(3, 4) float32", "|g| 12"} <= set(words(drawing))
    y.backward()
    assert "keeps" not in str(ag.draw(y))
    with pytest.raises(ValueError, match="no history"):
        ag.draw(ag.tensor(1.0))


def test_modules_are_boxes_in_boxes_and_left_as_they_were():
    net = nn.Sequential(Block(), Block(), nn.Flatten(), nn.Linear(64, 3))
    before = {n: t.value.copy() for n, t in net.named_buffers()}
    drawing = ag.draw(net, np.ones((2, 4, 4, 4), np.float32), depth=2)
    assert all(np.array_equal(t.value, before[n]) for n, t in net.named_buffers())
    assert net[0].norm._hooks is None or not net[0].norm._hooks.before
    text = str(drawing)
    assert "  0: Block\n" in text and "conv: Conv2d" in text and "3: Linear" in text and "144 parameters" in text
    assert drawing.to_dot().count("subgraph") == 5
    flat = ag.draw(net, np.ones((2, 4, 4, 4), np.float32), depth=1)
    assert [v.title for v in flat.graph.vertices] == ["input", "0: Block", "1: Block", "2: Flatten", "3: Linear"]
    whole = ag.draw(net, np.ones((2, 4, 4, 4), np.float32), depth=0)
    assert [v.title for v in whole.graph.vertices] == ["input", "Sequential"]


def test_fifty_layers_are_folded_until_they_can_be_read():
    layers = [layer for _ in range(50) for layer in (nn.Linear(8, 8), nn.ReLU())]
    drawing = ag.draw(nn.Sequential(nn.Linear(3, 8), *layers, nn.Linear(8, 2)), np.ones((2, 3), np.float32))
    assert [v.title for v in drawing.graph.vertices] == ["input", "0: Linear", "50 x [Linear → ReLU]", "101: Linear"]
    blocks = ag.draw(nn.Sequential(*(Block() for _ in range(50))), np.ones((2, 4, 4, 4), np.float32))
    assert [v.title for v in blocks.graph.vertices] == ["input", "conv: Conv2d", "norm: BatchNorm2d", "relu", "add"]
    assert "  0 to 49: 50 x Block\n" in str(blocks) and "result" in str(blocks).splitlines()[-1]
    whole = ag.draw(nn.Sequential(*(Block() for _ in range(50))), np.ones((2, 4, 4, 4), np.float32), depth=9)
    assert len(whole.graph.vertices) > 150 and parsed(whole) is not None


def test_modules_that_repeat_are_drawn_once_with_what_is_in_them():
    pair = lambda size=8: nn.Sequential(nn.Linear(8, size), nn.ReLU())
    x = np.ones((2, 8), np.float32)
    drawing = ag.draw(nn.Sequential(pair(), *(pair() for _ in range(24)), nn.Linear(8, 2)), x)
    assert "  0 to 24: 25 x Sequential\n" in str(drawing) and len(str(drawing).splitlines()) == 6
    assert len(drawing.graph.edges) == 3 and drawing.to_dot().count("subgraph") == 2 and parsed(drawing) is not None
    nested = ag.draw(nn.Sequential(*(nn.Sequential(pair(), pair(), pair()) for _ in range(10))), x)
    assert "0 to 9: 10 x Sequential" in str(nested) and "0 to 2: 3 x Sequential" in str(nested)
    different = ag.draw(nn.Sequential(*(pair() for _ in range(12)), pair(4), *(nn.Linear(4, 4) for _ in range(9))), x)
    assert "12 x Sequential" in str(different) and "4) float32" in str(different)
    apart = lambda: nn.ModuleList(pair() for _ in range(12))
    assert " x Sequential" not in str(ag.draw(Parallel(apart()), x)), "side by side is not one after the other"


class Parallel(nn.Module):
    """Several modules of one input."""

    def __init__(self, parts):
        self.parts = parts

    def forward(self, x):
        return sum(part(x) for part in self.parts)


def test_drawings_are_saved_by_the_name_of_their_kind(tmp_path, monkeypatch):
    drawing = ag.draw(length, 1, 2)
    for name, start in (("a.svg", "<svg"), ("a.dot", "digraph"), ("a.txt", "x1")):
        drawing.save(tmp_path / name)
        assert (tmp_path / name).read_text().startswith(start)
    with pytest.raises(ValueError, match=r"saved as .svg, .dot, .png, .txt"):
        drawing.save(tmp_path / "a.gif")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="install graphviz"):
        drawing.save(tmp_path / "a.png")
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.stdout.write('PNG ' + sys.stdin.read()[:7])\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert drawing.to_png() == b"PNG digraph"


def test_names_in_pictures_are_escaped():
    x = ag.tensor(1.0, requires_grad=True)
    drawing = ag.draw(x * 2, names={'<a> & "b"': x})
    assert '<a> & "b"' in words(drawing) and '\\"b\\"' in drawing.to_dot()


@pytest.mark.parametrize("what", [3, "x", None])
def test_what_cannot_be_drawn_is_refused(what):
    with pytest.raises(TypeError, match="expected a Tensor, a module or a function"):
        ag.draw(what)


@pytest.mark.parametrize("depth", [-1, 1.5, "all"])
def test_a_depth_is_a_number_of_levels(depth):
    with pytest.raises(ValueError, match="depth is how many levels are open"):
        ag.draw(nn.Linear(1, 1), ag.ones(1, 1), depth=depth)


@st.composite
def nested(draw):
    """Boxes, made one after the other while groups are entered and left, and edges from earlier ones to later ones."""
    root = inside = layout.Group()
    boxes = []
    for move in draw(st.lists(st.sampled_from(["box", "box", "wide box", "enter", "leave"]), min_size=1, max_size=20)):
        if move == "enter":
            group = layout.Group(title="group")
            inside.add(group)
            inside = group
        elif move == "leave":
            inside = inside.inside or root
        else:
            boxes.append(layout.Box(90.0 if move == "wide box" else 40.0, 30.0))
            inside.add(boxes[-1])
    numbers = st.integers(0, max(len(boxes) - 1, 0))
    pairs = draw(st.lists(st.tuples(numbers, numbers), max_size=15))
    return root, boxes, [(boxes[a], boxes[b]) for a, b in pairs if a < b]


def test_circles_of_groups_are_drawn_as_well():
    root, one, two = layout.Group(), layout.Group(), layout.Group()
    a, b, c = (layout.Box(40.0, 30.0) for _ in range(3))
    root.add(one), root.add(two), one.add(a), one.add(c), two.add(b)
    assert len(layout.place(root, [(a, b), (b, c)])) == 2


@settings(quick, max_examples=100)
@given(nested())
def test_boxes_do_not_overlap_and_edges_go_down(case):
    root, boxes, edges = case
    ways = layout.place(root, edges)
    corners = {box: layout.corner(box) for box in boxes}
    for k, a in enumerate(boxes):
        (x, y) = corners[a]
        assert -1e-6 <= x and x + a.width <= root.width + 1e-6 and -1e-6 <= y and y + a.height <= root.height + 1e-6
        for b in boxes[k + 1 :]:
            (u, v) = corners[b]
            apart = (
                x + a.width <= u + 1e-6
                or u + b.width <= x + 1e-6
                or y + a.height <= v + 1e-6
                or v + b.height <= y + 1e-6
            )
            assert apart
    for (a, b), points in ways.items():
        assert np.isclose(points[0][1], corners[a][1] + a.height) and np.isclose(points[-1][1], corners[b][1])
        assert all(q[1] >= p[1] - 1e-6 for p, q in zip(points, points[1:]))


# --- the package and the tour ----------------------------------------------------------------------------------------


def test_the_laboratory_is_loaded_when_first_asked_for():
    code = "import sys, autograd_core as ag; before = 'autograd_core.lab' in sys.modules; ag.wengert; ag.numeric.grad; "
    code += "print(before, 'autograd_core.lab' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
    with pytest.raises(AttributeError, match="no attribute 'laboratory'"):
        ag.laboratory  # noqa: B018


def test_the_document_prints_what_it_says(capsys):
    text, scope = (ROOT / "docs" / "lab.md").read_text(), {}
    blocks = re.findall(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", text, flags=re.DOTALL)
    assert len(blocks) == 6
    for code, printed in blocks:
        exec(code, scope)
        assert capsys.readouterr().out == printed


def test_the_tour_prints_the_numbers(capsys):
    assert main(["lab"]) == 0
    out = capsys.readouterr().out
    for number in (
        "2.236068  0.4472136  0.8944272",
        "Dual(12.0, 12.0)",
        "forward 1.00, backward 1.00, central 2.00, richardson 4.00",
    ):
        assert number in out, number
    assert main(["lab", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert main(["lab", listed[1]]) == 0 and "Dual" in capsys.readouterr().out
    assert main(["lab", "nowhere"]) == 2 and "no such stop: nowhere" in capsys.readouterr().err
