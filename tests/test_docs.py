"""The code in the documentation runs, and prints what it says; the examples run, and reach what they claim."""

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import pytest

from autograd_core.op import REGISTRY, Traced

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
    assert train.endswith("examples/train_digits.py") and "'.[examples]'" in train
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


def test_the_primitives_of_the_contributors_guide_have_every_property():
    before, methods = set(REGISTRY), set(vars(Traced))
    try:
        exec("\n".join(blocks("CONTRIBUTING.md")), names := {})
        assert set(REGISTRY) - before == {"logcosh", "sum_of_squares"}
        names["check"](names["sum_of_squares"])
    finally:
        for name in set(REGISTRY) - before:
            del REGISTRY[name]
    assert set(vars(Traced)) == methods


def run(example: str) -> str:
    sys.path.insert(0, str(ROOT))
    try:
        return printed(lambda: runpy.run_path(str(ROOT / "examples" / example), run_name="__main__"))
    finally:
        sys.path.remove(str(ROOT))


def number(text: str, before: str) -> float:
    """The last number that stands after some words."""
    return float(re.findall(rf"{before}\s*([-+.\de]+)", text)[-1])


def test_every_example_is_short_and_run_here():
    examples = {p.name: p.read_text().count("\n") for p in (ROOT / "examples").glob("*.py")}
    assert max(examples.values()) <= 60, examples
    assert set(examples) == set(re.findall(r'run\("(\w+\.py)"\)', Path(__file__).read_text()))


def test_digits():
    pytest.importorskip("sklearn")
    assert number(run("train_digits.py"), "final test accuracy:") >= 0.95


def test_numpy_code():
    out = run("numpy_code.py")
    assert number(out, "it flies [.\\d]+ m\n ") == pytest.approx(number(out, "by differences:"), abs=2e-4)
    assert 39 < number(out, "best angle is") < 40


def test_newton():
    assert number(run("newton.py"), "distance from the minimum:") < 1e-9
