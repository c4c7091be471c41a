"""`tensor.pyi` says what Tensor is now."""

import ast
import difflib

import autograd_core as ag
from autograd_core.stubs import PATH, generate


def test_the_committed_stub_is_what_the_generator_writes():
    written, current = PATH.read_text().splitlines(), generate().splitlines()
    difference = "\n".join(list(difflib.unified_diff(written, current, "tensor.pyi", "now", n=0, lineterm=""))[:20])
    assert not difference, f"run python -m autograd_core.stubs\n{difference}"


def test_the_stub_declares_every_public_member():
    tree = ast.parse(generate())
    tensor = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    declared = {node.name for node in tensor.body if isinstance(node, ast.FunctionDef)}
    declared |= {node.target.id for node in tensor.body if isinstance(node, ast.AnnAssign)}
    public = {name for name in dir(ag.Tensor) if not name.startswith("_")}
    assert declared >= public - {"apply"}
    assert declared >= {"__add__", "__rsub__", "__imul__", "__matmul__", "__neg__", "__getitem__", "__lt__", "__len__"}
