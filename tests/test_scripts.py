"""Scripts for PyTorch run here when their imports are changed, and come to the same numbers."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag

torch = pytest.importorskip("torch")

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
IMPORTS = {  # the first that fits a line that imports
    r"^import torch\.nn as nn$": "import nn",
    r"^import torch\.optim as optim$": "import optim",
    r"^import torch\.nn\.functional as F$": "import nn.functional as F",
    r"^from torch import nn, optim$": "import nn, optim",
    r"^from torch import (nn|optim)$": r"import \1",
    r"^(import|from) torch\.(nn|optim)\b": r"\1 \2",
    r"^from torch\.utils\.data\b": "from nn.data",
    r"^from torch\b": "from autograd_core",
    r"^import torch$": "import autograd_core as torch",
}


def translated(source: str) -> str:
    """A script for this library."""
    lines = source.splitlines()
    for k, line in enumerate(lines):
        for pattern, replacement in IMPORTS.items():
            if re.search(pattern, line):
                lines[k] = re.sub(pattern, replacement, line)
                break
    return "\n".join(lines)


class Same:
    """Where a script begins: what one library drew for it, the other is given."""

    def __init__(self):
        self.kept, self.again = [], None

    def recorded(self):
        """A new one that gives back what this one saw."""
        new = Same()
        new.again = iter(self.kept)
        return new

    def __call__(self, what, tensor=None):
        """A module, or a tensor after its name, with the values that were drawn first."""
        if self.again is None:
            state = what.state_dict() if tensor is None else {what: tensor}
            self.kept.append({n: t.detach().numpy().copy() for n, t in state.items()})
        elif tensor is None:
            what.load_state_dict(next(self.again))
        else:
            tensor = ag.tensor(next(self.again)[what])
        return what if tensor is None else tensor


def losses_of(source: str, same: Same) -> list:
    names: dict = {"__name__": "script"}
    exec(compile(source, "script", "exec"), names)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        return [*names["run"](same), printed.getvalue()]


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's threads wait for each other where others work too, which on small arrays takes most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_same_numbers(path):
    same, source = Same(), path.read_text()
    *theirs, printed = losses_of(source, same)
    *ours, printed_here = losses_of(translated(source), same.recorded())
    assert all(isinstance(n, float | int) for n in ours)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-5)
    assert printed_here == printed
