"""What holds the code together: imports that point one way, small files, short functions, names that are documented."""

import ast
import functools
import inspect
import io
import pickle
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag

ROOT = Path(__file__).parent.parent
CORE = ROOT / "autograd_core"

# Every module of autograd_core, from the ground up.  Each may import what stands before it, kernels only each other.
ORDER = """
    kernels.* samples errors op fused dtypes tape views vmap tensor shortcuts direct ops.axes ops.meanings ops.base
    ops.arguments ops.arranging ops.shape ops.parts ops.joining ops.create ops.math ops.padding ops.entries ops.index
    ops.gather ops.masks ops.reduce ops.moments ops.products ops.contractions ops.distances ops.sort ops.scan
    ops.scatter ops.updates ops.layerwise ops.embedding ops.linear ops.convolution ops.folding
    ops.linalg.matrices ops.linalg.systems ops.linalg.spectra ops.linalg.factorisations ops.linalg.determinants
    ops.linalg.least_squares ops.linalg.norms ops.linalg.products ops.linalg ops.fft ops.special
    ops.scaling
    ops.activations ops.normalization ops.dropout ops.composed ops.loss_ops ops.losses ops.ctc ops.resampling ops.grids
    ops.sliding ops.pooling ops.unpooling ops.attention ops.recurrent ops blame reach backward forward tree attributes functional
    jacobians members random models custom control anomaly gradcheck testing compiled.program compiled.signature compiled.kept
    compiled.entries compiled.users compiled.codes compiled.places compiled.unchanged compiled.guards compiled.picked
    compiled.capture compiled.compare compiled.memory compiled.place
    compiled.launches compiled.likeness compiled.rows compiled.emit compiled.lines compiled.moves compiled.steps
    compiled.passes.order compiled.passes.dead compiled.passes.tidy compiled.passes.copies compiled.passes.fuse
    compiled.passes.common compiled.passes.constants compiled.passes.split compiled.passes.normalize compiled.passes.join
    compiled.passes.recompute compiled.passes compiled.halves compiled.results compiled.reverse compiled.back compiled.quick
    compiled.replay compiled.explain compiled.function compiled.modules compiled
    numpy_functions.operands numpy_functions.reductions numpy_functions.shapes numpy_functions.creation
    numpy_functions.differences numpy_functions.sorting numpy_functions.indexing numpy_functions.elementwise
    numpy_functions.products numpy_functions.polynomials numpy_functions.statistics numpy_functions.applying
    numpy_functions.linalg numpy_functions.fft numpy_functions interop habits
    autograd.functional autograd symbolic.expression symbolic.normal symbolic.simplify symbolic.calculus
    symbolic.printing symbolic.swell symbolic source.read source.order source.structure source.kinds source.support source.pull
    source.functions source.assignments source.sweep source.program source.function source lab.table lab.steps
    lab.numeric lab.trace
    lab.layout lab.graph lab.folding lab.picture lab.routes lab lab.tour stubs __main__
""".split()

# The few imports that point the other way; each is made inside a function, after everything is loaded.
UPWARD = {
    ("ops.activations", "random"): "some slopes, and the noise of a soft choice, are drawn from the default generator",
    ("ops.pooling", "random"): "fractional pooling draws its windows",
    ("views", "tensor"): "an in-place change of a view gives its base a new history, which is recorded as tensors are",
    ("ops.math", "ops.masks"): "where(condition) with nothing to choose from is nonzero(condition)",
    ("ops.composed", "functional"): "rules that are derivatives of compositions are found as any derivative is",
    ("ops.attention", "random"): "so is where the words of its dropout begin",
    ("ops.dropout", "random"): "masks are drawn from the default generator, which watches draws as all others",
    ("symbolic.expression", "symbolic.calculus"): "an expression's methods are the functions of the files above it",
    ("symbolic.expression", "symbolic.simplify"): "the same",
    ("symbolic.expression", "symbolic.printing"): "the same",
    ("ops.reduce", "ops.linalg"): "norm of a matrix may be one that linalg computes",
}

# The most lines of code (no comments, docstrings, blank lines) a file may have; where none is given, USUAL.
USUAL = 345
LINES = {
    "backward.py": 375,
    "ops/math.py": 415,
    "random.py": 360,
    "tensor.py": 390,
}
ENGINE = "op tape dtypes views tensor backward forward vmap functional testing samples tree".split()
ENGINE_LINES = 2195  # all of ENGINE together


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.fixture(scope="module", autouse=True)
def no_trees_afterwards():
    """A million nodes, through which each later look at all objects would go."""
    yield
    parsed.cache_clear()


def modules() -> dict[str, Path]:
    """Dotted names below autograd_core; a package under its own name, the root left out."""
    paths = {p.relative_to(CORE).with_suffix(""): p for p in CORE.rglob("*.py")}
    names = {".".join(r.parts).removesuffix("__init__").rstrip("."): p for r, p in paths.items()}
    return {n: p for n, p in names.items() if n}


def position(name: str) -> int:
    """Where a module stands in ORDER."""
    key = "kernels.*" if name.split(".")[0] == "kernels" else name
    assert key in ORDER, f"autograd_core/{name} has no place in ORDER: decide what it may import"
    return ORDER.index(key)


def imports_of(path: Path, package: str) -> set[str]:
    """The modules a file imports, wherever in the file, in full."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*up, *filter(None, [node.module])])
            submodules = {f"{base}.{a.name}" for a in node.names if is_module(f"{base}.{a.name}")}
            found |= submodules | ({base} if len(submodules) < len(node.names) else set())
    return found


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_one_way(name):
    path = modules()[name]
    for target in imports_of(path, package_of(path)):
        inner = target.removeprefix("autograd_core").lstrip(".")
        if not target.startswith("autograd_core") or (name, inner) in UPWARD:
            continue
        assert inner, f"{name} imports the whole package"
        same_kernels = name.startswith("kernels") and inner.startswith("kernels")
        assert same_kernels or position(inner) < position(name), f"{name} imports {inner}, which stands above it"


def test_the_table_names_only_what_exists_and_is_used():
    found = modules()
    assert not [n for n in ORDER if n != "kernels.*" and n not in found], "ORDER names modules that are gone"
    assert not [f for f in LINES if not (CORE / f).exists()], "LINES names files that are gone"
    for low, high in UPWARD:
        assert f"autograd_core.{high}" in imports_of(found[low], package_of(found[low])), (low, high)


def test_packages_know_only_those_below_them():
    allowed = {"autograd_core": set(), "nn": {"autograd_core"}, "optim": {"autograd_core"}}
    ours = {"nn", "optim", "benchmarks", "tests", "examples"}
    for package, below in allowed.items():
        for path in (ROOT / package).rglob("*.py"):
            tops = {t.split(".")[0] for t in imports_of(path, package_of(path))}
            assert not tops & (ours | {"autograd_core"}) - below - {package}, path


def test_nothing_but_numpy_is_needed_outside_the_kernels():
    for name, path in modules().items():
        tops = (
            {t.split(".")[0] for t in imports_of(path, package_of(path))}
            - {"autograd_core"}
            - set(sys.stdlib_module_names)
        )
        assert tops <= (
            {"numpy", "numba", "llvmlite"} if name.startswith("kernels") or name == "__main__" else {"numpy"}
        ), f"{name} imports {tops}"


def test_importing_is_light():
    code = "import sys, autograd_core, nn, optim; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    heavy = {"numba", "llvmlite", "scipy", "torch", "matplotlib", "pytest", "hypothesis", "graphviz"}
    assert not heavy & {m.split(".")[0] for m in done.stdout.split()}


def test_public_names_are_exported_sorted_and_documented():
    names = ag.__all__
    assert list(names) == sorted(set(names))
    assert not [n for n in names if not hasattr(ag, n)], "exported but missing"
    tables = {"NAMESPACES", "PUBLIC"}
    public = {n for n, v in vars(ag).items() if not n.startswith("_") and not inspect.ismodule(v)} - tables
    assert public <= set(names), f"public but not in __all__: {sorted(public - set(names))}"
    things = {n: getattr(ag, n) for n in names if not isinstance(getattr(ag, n), (np.dtype, int, float, type(None)))}
    assert not [n for n, v in things.items() if not inspect.getdoc(v)], "without a docstring"


def test_public_functions_can_be_pickled():
    functions = [getattr(ag, n) for n in ag.__all__ if inspect.isfunction(getattr(ag, n))]
    assert all(pickle.loads(pickle.dumps(f)) is f for f in functions)


def documentation(tree: ast.AST) -> set[int]:
    """The lines of docstrings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            found |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return found


@functools.cache
def code_lines(path: Path) -> frozenset[int]:
    """The lines on which something other than a comment or a docstring stands."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    lines = {n for t in tokens if t.type not in silent for n in range(t.start[0], t.end[0] + 1)}
    return frozenset(lines - documentation(parsed(path)))


def functions() -> dict[str, int]:
    """The lines of code in the body of every function of autograd_core."""
    lengths = {}
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                body = range(node.body[0].lineno, node.body[-1].end_lineno + 1)
                lengths[f"{name}:{node.lineno} {node.name}"] = len(code_lines(path) & set(body))
    return lengths


def test_files_are_small(record_property):
    sizes = {p.relative_to(CORE).as_posix(): len(code_lines(p)) for p in modules().values()}
    over = {f: f"{n} > {LINES.get(f, USUAL)}" for f, n in sizes.items() if n > LINES.get(f, USUAL)}
    assert not over, f"split the file, or raise its budget in LINES: {over}"
    engine = sum(sizes[f"{name}.py"] for name in ENGINE)
    record_property("lines of code", f"{engine} in the engine, {sum(sizes.values())} in all of autograd_core")
    assert engine <= ENGINE_LINES, f"the engine has {engine} lines of code"


def test_functions_are_short(record_property):
    lengths = functions()
    longest = max(lengths, key=lengths.get)
    median = statistics.median(lengths.values())
    record_property("functions", f"{len(lengths)}, median {median} lines, longest {longest}: {lengths[longest]}")
    assert median <= 5
    assert lengths[longest] <= 63, longest


def test_nothing_is_called_utils():
    known = {"swa_utils.py", "test_nn_utils.py"}  # PyTorch's path, and the test of a package of PyTorch's name
    found = [p for p in ROOT.rglob("*util*.py") if not {".venv", "build", "site-packages"} & set(p.parts)]
    assert not [p for p in found if p.name not in known]
