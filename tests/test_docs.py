"""The code in the documentation runs, and prints what it says; the examples run, and reach what they claim."""

import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograd_core.kernels._jit import COMPILED
from examples.__main__ import gallery

ROOT = Path(__file__).parent.parent


def blocks(name: str, language: str = "python") -> list[str]:
    """The blocks of code of one language in a document."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def printed(run) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run()
    return out.getvalue()


def words(text: str) -> list[str]:
    return text.split()


def test_the_readme_prints_what_its_comments_say():
    (code,) = blocks("README.md")
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, flags=re.MULTILINE)
    assert len(promised) == code.count("print(") >= 3
    assert len(code.strip().splitlines()) <= 12
    assert words(printed(lambda: exec(code, {}))) == words(" ".join(promised))


def test_the_readme_has_the_two_commands():
    train, test = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    assert train.endswith("-m examples digits") and "'.[examples]'" in train
    assert test.endswith("-m pytest -n auto") and "'.[test]'" in test
    assert test in blocks("CONTRIBUTING.md", "sh")[0]


def test_documents_link_to_what_exists():
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        *(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md")),
    ]:
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert target.startswith("http") or ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


ADDED_TO_OPS = """
import numpy as np
import autograd_core as ag
from autograd_core.op import REGISTRY

a = np.array([[0.5, -1.0, 0.0], [2.0, 30.0, -3.0]])
x = ag.tensor(a, requires_grad=True)
y = ag.logcosh(x)
assert np.allclose(y.value, np.log(np.cosh(a)), rtol=1e-12, atol=1e-12)
y.sum().backward()
assert np.allclose(x.grad.value, np.tanh(a))
z = x * 1
assert z.logcosh_() is z and np.array_equal(z.value, x.logcosh().value)
assert np.allclose(ag.gradient(z.sum(), [x])[0].value, np.tanh(a))
assert np.array_equal(ag.vmap(ag.logcosh)(a), ag.logcosh(a))
assert np.allclose(ag.hessian(lambda v: ag.logcosh(v).sum())(a[0]), np.diag(1 - np.tanh(a[0]) ** 2))
assert ag.logcosh(ag.tensor([1, 2])).dtype == np.float32
assert "logcosh" in REGISTRY and "logcosh" in ag.__all__
"""


@pytest.fixture
def copied(tmp_path):
    """A copy of the package to change, and what runs Python on it."""
    shutil.copytree(ROOT / "autograd_core", tmp_path / "autograd_core", ignore=shutil.ignore_patterns("__pycache__"))

    def python(*arguments: str) -> str:
        command = [sys.executable, "-W", "error", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path / "autograd_core", python


def test_the_contributors_guide_adds_a_function(copied):
    package, python = copied
    declared, checked, _ = blocks("CONTRIBUTING.md")
    renamed = lambda code: code.replace("logcosh", "guides_logcosh")  # whoever follows the guide has a logcosh
    file = package / "ops" / "math.py"
    before = file.read_text()
    assert before.count("__all__ = [\n") == 1
    file.write_text(
        before.replace("__all__ = [\n", renamed('__all__ = [\n    "logcosh",\n')) + "\n\n" + renamed(declared)
    )
    python("-c", renamed(ADDED_TO_OPS + checked))
    python("-m", "autograd_core.stubs")
    python("-m", "autograd_core.stubs", "--check")
    for stub in ("__init__.pyi", "tensor.pyi"):
        assert renamed("def logcosh(") in (package / stub).read_text()


def test_the_contributors_guide_declares_an_op_outside_the_package(copied):
    _, python = copied
    python("-c", blocks("CONTRIBUTING.md")[2])


def run(example: str) -> str:
    sys.path.insert(0, str(ROOT))
    try:
        return printed(lambda: runpy.run_path(str(ROOT / "examples" / example), run_name="__main__"))
    finally:
        sys.path.remove(str(ROOT))


def number(text: str, before: str) -> float:
    """The last number that stands after some words."""
    return float(re.findall(rf"{before}\s*([-+.\de]+)", text)[-1])


def test_training_as_it_is_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("docs/training.md")
    out = printed(lambda: exec(code, {})).splitlines()
    assert out[0] == "run.safetensors is not there yet: from the beginning" and out[1].startswith("epoch   1  loss")
    assert out[-1] == "True" and (tmp_path / "run.safetensors").exists()


def test_every_example_is_short_and_run():
    examples = {
        p.name: p.read_text().count("\n") for p in (ROOT / "examples").glob("*.py") if not p.stem.startswith("_")
    }
    assert max(examples.values()) <= 80, examples
    here = set(re.findall(r'run\("(\w+)\.py"\)', Path(__file__).read_text()))
    assert {Path(name).stem for name in examples} == here | set(gallery())  # tests/test_gallery.py runs those


def test_digits():
    pytest.importorskip("sklearn")
    assert number(run("train_digits.py"), "final test accuracy:") >= 0.95


def test_network():
    pytest.importorskip("sklearn")
    out = run("train_network.py")
    assert number(out, "final test accuracy:") >= 0.97
    assert number(out, "replays=") > 250 or not COMPILED


def test_numpy_code():
    out = run("numpy_code.py")
    assert number(out, "it flies [.\\d]+ m\n ") == pytest.approx(number(out, "by differences:"), abs=2e-4)
    assert 39 < number(out, "best angle is") < 40


def test_newton():
    assert number(run("newton.py"), "distance from the minimum:") < 1e-9
