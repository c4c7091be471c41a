"""Functions that are written into kernels as LLVM code: they do what Python does, and round as they say."""

import ast
import gc
import importlib
import math
import pkgutil
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_core.kernels
from autograd_core.kernels._jit import COMPILED, KERNELS, Late, inline, kernel, undisturbed

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
blank = Late("_values", "blank")
TABLE = np.array([[1.5, 2.5], [3.5, 4.5]])


def declared(fn):
    return kernel(fn, written=True)


@declared
def branches(a, b):
    if a < b:
        if b > 3:
            return a - b
        a = 2 * b
    elif a == b:
        b = a + 10
    else:
        return -a
    return a + b


@declared
def choices(a, b):
    c, (d, e) = (a, (b, 1)) if a > b else (b, (a, 2))
    near = 0 < a < b <= 3
    either = a > 0 and b / a > 1 or b == 2
    return c * 1000 + d * 100 + e * 10 + (2 if near else 0) + (1 if either and not near else 0)


@declared
def loops(a, b):
    total, k, last = 0, 0, -1
    for i in range(abs(a)):
        if i % 3 == 1:
            continue
        for j in range(2, 20, 4):
            if j > abs(b):
                break
            total += i * j
            last = j
        if total > 50:
            return total * 100 + last
    while k < b:
        k += 2
        total -= k if k % 4 else 1
    for i in range(b, a, -1):
        total += i if i % 5 else 7 * i
    for i in range(a + 3, -1, -3):
        last -= 2 * i
    return total + last


@declared
def mixed(a, b):
    total = a
    for i in range(3):
        total = total + b / 4 + TABLE[i % 2, 1]
    whole, most = max(a, b, 2), min(a, b)
    return total + (a // 3 * 7 + a % 3 if a >= 0 else 0) + (whole << 1) + (most & 5) + math.sqrt(abs(a)) - (~b)


@pytest.mark.parametrize("function", [branches, choices, loops, mixed])
@given(a=st.integers(-12, 12), b=st.integers(-12, 12))
def test_numbers_come_out_as_in_python(function, a, b):
    assert function(a, b) == function.fn(a, b)


@declared
def turned(x, y, rows):
    """Every second row of x, from the last one on, with its entries halved and counted up."""
    n = x.shape[1]
    for i in range(0, rows, 2):
        row = x[len(x) - 1 - i : len(x) - i]
        line = row[0]
        for j in range(n):
            y[i, j] = line[j] / 2
            y[i, j] += x.dtype.type(j)
    y[-1, -1] = 7


@pytest.mark.parametrize("char", "fd")
def test_arrays_are_read_and_written(char):
    x, y, z = np.arange(35.0).reshape(7, 5).astype(char), np.ones((7, 5), char), np.ones((7, 5), char)
    turned(x, y, 7), turned.fn(x, z, 7)
    assert (y == z).all() and y[6, 0] == 0 and (y[1] == 1).all()


@declared
def tabled(x, y, rows):
    """The entries of x as rows, from the last to the first, with an index that counts from the end or is unsigned."""
    table = x.reshape(rows, x.size // rows)
    y[:] = x.dtype.type(rows)
    for i in range(rows):
        row, n = table[-1 - i], table.shape[1]
        for j in range(n):
            y[np.uint64(i * n + j)] += row[j - n] + table[i, j]
    y[rows : rows + 9] = 5
    y[-2:] = 3
    y[7:3] = 1
    return len(table) * table.itemsize + table.size


@pytest.mark.parametrize("char", "fd")
def test_rows_and_parts_of_arrays(char):
    x = np.arange(12.0).astype(char)
    for rows in (1, 3, 6):
        y, z = np.ones((2, 12), char)
        assert tabled(x, y, rows) == tabled.fn(x, z, rows) and (y == z).all()


@declared
def picked(x, sizes):
    """Parts of tuples, truths and fractions as whole numbers, and the least and greatest of some."""
    first, rest = sizes[0], sizes[1:]
    top, count = x[0], int(first > 2) + int(2.75)
    for i in range(rest[-1]):
        top = max(top, x[i], min(x[i] * x[i], x.dtype.type(rest[0])))
    return top * count + len(sizes[:2])


@pytest.mark.parametrize("char", "fd")
def test_parts_of_tuples_and_the_largest_of_numbers(char):
    x = np.array([-3.0, 1.5, np.nan, 2.25, 7.0]).astype(char)
    for sizes in ((1, 9, 2), (3, 4, 5), (3, 1, 4)):
        assert picked(x, sizes) == picked.fn(x, sizes)


@inline
def lost(a, b):
    """What is lost when b is added to a."""
    s = a + b
    return (a - (s - (s - a))) + (b - (s - a))


@kernel
def all_lost(x, y):
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += lost(x[i], y[i])
    return total


def test_a_function_rounds_as_it_says_in_a_kernel_that_may_sum_in_any_order():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(100), 1e-9 * rng.standard_normal(100)
    s = x + y
    wanted = math.fsum((x - (s - (s - x))) + (y - (s - x)))
    assert wanted != 0 and abs(all_lost(x, y) - wanted) < 1e-12 * np.abs(y).sum()


@declared
def with_room(x, n, often):
    total = x.dtype.type(0)
    if n > 0:
        room = blank(total, n)
        for _ in range(often):
            for i in range(n):
                room[i] = x[i] + 1
        for i in range(n):
            total += room[i]
    return total


paired = range


@declared
def squared_in_pairs(x, out):
    total = 0
    for i in paired(len(x)):
        out[i] = x[i] * x[i] + x[i]
    for i in paired(2, len(x), 3):
        total += i
    return total


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 31, 32, 33, 48, 63, 100, 1000])
def test_loops_by_two_vectors_at_a_time_do_what_others_do(n):
    x = np.linspace(-3, 3, n, dtype=np.float32)
    out = np.full(n + 1, 7, np.float32)
    assert squared_in_pairs(x, out[:n]) == sum(range(2, n, 3))
    wanted = x.astype(np.float64) ** 2 + x
    assert np.allclose(out[:n], wanted, rtol=1e-6, atol=1e-6) and out[n] == 7


@compiled
def test_each_loop_has_a_name_of_its_own_for_llvm():
    from llvmlite import binding, ir

    from autograd_core.kernels._writer import describe

    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(1)]), "loops")
    builder = ir.IRBuilder(function.append_basic_block())
    for _ in range(2):
        block, after = function.append_basic_block(), function.append_basic_block()
        builder.branch(block)
        builder.position_at_end(block)
        describe(builder.cbranch(function.args[0], block, after), in_pairs=True)
        builder.position_at_end(after)
    builder.ret_void()
    understood = str(binding.parse_assembly(str(module)))
    names = re.findall(r"(!\d+) = distinct !\{\1, (!\d+), (!\d+)\}", understood)
    assert len({name for name, *_ in names}) == 2
    ((left, count),) = {tuple(wishes) for _, *wishes in names}
    assert f'{count} = !{{!"llvm.loop.interleave.count", i32 2}}' in understood
    assert f'{left} = !{{!"llvm.loop.vectorize.followup_epilogue"' in understood


@kernel(written=True)
def halved(x, y):
    for i in range(len(y)):
        y[i] = x[i] / 2


@compiled
def test_the_rest_of_a_loop_of_vectors_is_written_once(monkeypatch):
    from autograd_core.kernels import _callers

    seen = []
    emitted = _callers.machine
    monkeypatch.setattr(
        _callers,
        "machine",
        lambda: SimpleNamespace(emit_object=lambda m: seen.append(str(m)) or emitted().emit_object(m)),
    )
    x = np.arange(77, dtype=np.float32)
    halved(x, y := np.empty_like(x))
    assert (y == x / 2).all()
    assert len(re.findall(r"= f(?:mul|div)[a-z ]* float ", seen[0])) == 1


@compiled
def test_memory_that_is_taken_is_given_back():
    x = np.arange(100_000.0)
    assert with_room(x, 1000, 2) == x[:1000].sum() + 1000 and with_room(x, 0, 1) == 0
    tracemalloc.start()  # which looks at Python's memory, of which this is some
    try:
        before = tracemalloc.get_traced_memory()[0]
        for n in (len(x), 0, len(x)):
            with_room(x, n, 1)
        now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - before > x.nbytes > now - before


@kernel(written=True)
def listed(n):
    return len([i for i in range(n)])


@kernel(written=True)
def room_in_a_loop(x):
    for i in range(len(x)):
        x[i] = blank(x[i], 1)[0]


@kernel(written=True)
def room_of_numpy(x):
    return np.empty(len(x), x.dtype)[0]


@compiled
@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        (listed, 3, r"\[i for i in range\(n\)\] cannot be written as LLVM code: declare"),
        (room_in_a_loop, np.zeros(1), "takes memory in a loop"),
        (room_of_numpy, np.zeros(1), "`blank` for room, or declare the kernel without `written`"),
    ],
)
def test_what_cannot_be_written_is_named(function, given, said):
    with pytest.raises(Exception, match=said):
        function(given)


@compiled
def test_the_text_of_all_kernels_that_are_written_is_found():
    """Or they would be compiled after all, which takes ten times as long."""
    from autograd_core.kernels._written import body

    for module in pkgutil.iter_modules(autograd_core.kernels.__path__):
        importlib.import_module(f"autograd_core.kernels.{module.name}")
    written = [k for k in KERNELS.values() if k.written]
    assert len(written) > 100 and not [k for k in written if body(k.fn.__code__) is None]


@compiled
def test_the_text_of_a_kernel_is_what_stands_in_its_file():
    """Only its own lines are read, which must mean the same by themselves."""
    from autograd_core.kernels._written import body

    trees: dict = {}
    for code in [k.fn.__code__ for k in KERNELS.values() if k.written and k.fn.__code__.co_filename.endswith(".py")]:
        file = code.co_filename
        if file not in trees:
            trees[file] = [n for n in ast.walk(ast.parse(Path(file).read_text())) if isinstance(n, ast.FunctionDef)]
        lines = [{n.lineno, *(d.lineno for d in n.decorator_list)} for n in trees[file]]
        place = code.co_name, code.co_firstlineno
        (node,) = [n for n, at in zip(trees[file], lines) if (n.name, min(at)) == place]
        assert [*map(ast.dump, body(code))] == [*map(ast.dump, node.body)]


ALL_OF_NUMBA = """if True:
    import sys
    import numba
    import numpy as np
    from autograd_core.kernels import probe
    x, out = np.arange(20.0), np.zeros(20)
    probe.mix(20, 10, x, out)
    print("scipy.linalg" in sys.modules)
    a = np.eye(3) * 4 + np.ones((3, 3))
    dot, of_words = numba.njit(lambda a: a.dot(a)), numba.njit(lambda: {k: k * k for k in range(4)}[3])
    print(np.array_equal(dot(a), a @ a), of_words())
    """


def test_numba_has_all_its_functions_after_a_kernel_was_written(ground):
    assert ground.run("-c", ALL_OF_NUMBA) == "False\nTrue 9\n"


CHANGED = """if True:
    import pathlib
    import numpy as np
    from autograd_core.kernels import probe
    path = pathlib.Path(probe.__file__)
    path.write_text(path.read_text().replace("return x + x", "return x * {factor}"))
    x, out = np.arange(20.0), np.zeros(20)
    probe.mix(20, 10, x, out)
    print(bool((out == 2 * x + np.arange(20) // 10 * 10).all()))
    """


@pytest.mark.parametrize("factor", [5, "(1"])
def test_what_was_loaded_runs_though_its_text_has_changed_since(ground, factor):
    assert ground.run("-c", CHANGED.format(factor=factor)) == "True\n"


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_looked_for_again_after_compiling(collects):
    was = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        assert not undisturbed(gc.isenabled) and gc.isenabled() == collects
    finally:
        (gc.enable if was else gc.disable)()
