"""The stubs say what Tensor and the package are now."""

import ast
import difflib

import pytest

import autograd_core as ag
from autograd_core.stubs import HERE, generate

STUBS = generate()


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.name)
def test_a_committed_stub_is_what_the_generator_writes(path):
    written, current = path.read_text().splitlines(), STUBS[path].splitlines()
    difference = list(difflib.unified_diff(written, current, path.name, "now", n=0, lineterm=""))
    assert not difference, "run python -m autograd_core.stubs\n" + "\n".join(difference[:20])


def declared(body: list[ast.stmt]) -> set[str]:
    """The names that statements define or import."""
    found = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    found |= {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    return found | {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_every_public_member_of_tensor_is_declared():
    tree = ast.parse(STUBS[HERE / "tensor.pyi"])
    tensor = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    operators = {"__add__", "__rsub__", "__imul__", "__matmul__", "__neg__", "__getitem__", "__lt__", "__len__"}
    assert declared(tensor.body) >= operators | {name for name in dir(ag.Tensor) if not name.startswith("_")}


def test_every_public_name_is_declared():
    assert declared(ast.parse(STUBS[HERE / "__init__.pyi"]).body) >= set(ag.__all__)
