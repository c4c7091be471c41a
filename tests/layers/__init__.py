"""On what every layer is compared with PyTorch's: a table for each file of `nn`, in the file of that name here.

A line is a constructor's arguments and the inputs of a call.  `tests/test_nn_parity.py` does the same with every line:
names, shapes and order of the state, what is printed, outputs, gradients of inputs and parameters, and buffers
afterwards, in training and in evaluation, in float32 and float64.  A layer of PyTorch's without a line fails there.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.tree import flatten


@dataclass
class Case:
    """One layer made with some arguments, and called on some inputs."""

    name: str
    args: tuple
    options: dict
    inputs: Callable  # of a Draw: the arguments of the call, in order; a dict at the end has those with names
    modes: tuple = ("train", "eval")
    tolerance: float = 1.0  # by how much errors may be larger than elsewhere; a comment beside the line says why
    call: Callable = field(default=lambda layer, *inputs, **named: layer(*inputs, **named))

    def __str__(self) -> str:
        given = [named(a) for a in self.args] + [f"{k}={named(v)}" for k, v in self.options.items()]
        return f"{self.name}({', '.join(given)})"


class Fixed(np.ndarray):
    """An input of which no gradient is asked, as of targets; also arrays among a constructor's arguments are tensors."""


def fixed(array: np.ndarray) -> np.ndarray:
    """An input of which no gradient is asked."""
    return array.view(Fixed)


@dataclass
class Part:
    """A layer as an argument of another: made anew for each library."""

    name: str
    args: tuple = ()
    options: dict = field(default_factory=dict)

    def made(self, library: Any) -> Any:
        """The layer of nn, or of torch.nn."""
        return getattr(library, self.name)(*made(self.args, library), **made(self.options, library))

    def __repr__(self) -> str:
        given = [named(a) for a in self.args] + [f"{k}={named(v)}" for k, v in self.options.items()]
        return f"{self.name}({', '.join(given)})"


def named(value: Any) -> str:
    """A value in a test's name: functions without their address, which is another in each process."""
    return re.sub(r"<function (\S+) at 0x[0-9a-f]+>", r"\1", repr(value))


def made(arguments: Any, library: Any) -> Any:
    """Arguments of a constructor for a library: layers among them made, arrays as its tensors."""
    if isinstance(arguments, dict):
        return {k: made(v, library) for k, v in arguments.items()}
    if isinstance(arguments, (tuple, list)):
        return type(arguments)(made(a, library) for a in arguments)
    if isinstance(arguments, np.ndarray):
        return tensor_of(library)(arguments.copy())
    return arguments.made(library) if isinstance(arguments, Part) else arguments


def tensor_of(library: Any) -> Callable:
    """What makes a tensor of an array."""
    if library.__name__ == "nn":
        return ag.tensor
    return importlib.import_module("torch").from_numpy


def part(name: str, *args: Any, **options: Any) -> Part:
    """A layer to be given to another as an argument."""
    return Part(name, args, options)


@dataclass
class Draw:
    """Inputs of one case, in one type, the same in every run."""

    rng: np.random.Generator
    dtype: Any

    def __call__(self, *shape: int) -> np.ndarray:
        """Normal numbers."""
        return self.rng.standard_normal(shape).astype(self.dtype)

    def positive(self, *shape: int) -> np.ndarray:
        """Numbers between 0.1 and 0.9."""
        return self.rng.uniform(0.1, 0.9, shape).astype(self.dtype)

    def integers(self, high: int, *shape: int, low: int = 0) -> np.ndarray:
        """Whole numbers from low on, below high."""
        return self.rng.integers(low, high, shape)

    def signs(self, *shape: int) -> np.ndarray:
        """Minus one or one."""
        return self.rng.choice([-1.0, 1.0], shape).astype(self.dtype)

    def truths(self, *shape: int) -> np.ndarray:
        """True or false."""
        return self.rng.random(shape) < 0.5


def case(name: str, *args: Any, inputs: Callable, settings: dict | None = None, **options: Any) -> Case:
    """A line of a table: the layer, its arguments, what it is called on; `settings` are those of Case."""
    return Case(name, args, options, inputs, **(settings or {}))


def cases() -> list[Case]:
    """All tables."""
    files = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return [c for file in files for c in file.CASES]


def left_out() -> dict[str, str]:
    """Layers of PyTorch's without a line, and why."""
    files = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return {name: why for file in files for name, why in getattr(file, "LEFT_OUT", {}).items()}


def layer_of(library: Any, case: Case) -> Any:
    """The layer of a line, of `nn` or of `torch.nn`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of lazy modules, and of more arguments than matter
        return getattr(library, case.name)(*made(case.args, library), **made(case.options, library))


def run(layer: Any, case: Case, values: list, convert: Callable) -> tuple[list, list]:
    """The inputs, made tensors of by `convert`, and the tensors that come out."""
    *args, named = [*values, {}] if not values or not isinstance(values[-1], dict) else values
    args, named = [converted(a, convert) for a in args], {k: converted(v, convert) for k, v in named.items()}
    return tensors([args, named]), tensors(case.call(layer, *args, **named))


def converted(tree: Any, convert: Callable) -> Any:
    """A nest of values with others in their place."""
    leaves, build = flatten(tree)
    return build([convert(v) for v in leaves])


def tensors(tree: Any) -> list:
    """The tensors in a nest, in order."""
    return [t for t in flatten(tree)[0] if hasattr(t, "requires_grad")]
