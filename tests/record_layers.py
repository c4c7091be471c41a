"""What PyTorch's layers answer to some lines of tests/layers, recorded so that they are compared without PyTorch too.

    python tests/record_layers.py

asks PyTorch (which it needs: `pip install '.[peers]'`) and rewrites tests/data/layers.npz.  Run it by hand after a
change of the first lines of a layer; tests/test_layers.py makes the same calls here, in float64.  Inputs and parameters
are rounded to 16 bits, so that these say exactly what they were; results are kept in 32.  Arrays lie one after the other
in three pools, each once: a row of `layout` is an array: its call, its part, its pool, where it begins there, its number
of axes and their lengths.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import layers
import numpy as np
from layers import Case, Draw, layer_of, run
from record_reference import weights

FILE = Path(__file__).parent / "data" / "layers.npz"
LINES = 2  # of each layer
PARTS = INPUT, STATE, RESULT, INPUT_GRADIENT, GRADIENT, BUFFER = range(6)
POOLS = {"halves": np.float16, "singles": np.float32, "wholes": np.int32}
AXES = 6
NONE = np.zeros(0)  # stands for no gradient


def calls() -> Iterator[tuple[str, Case, str]]:
    """A label, the line and the mode of every call."""
    seen: Counter = Counter()
    for case in layers.cases():
        seen[case.name] += 1
        if seen[case.name] <= LINES:
            yield from ((f"{case} {seen[case.name]} {mode}", case, mode) for mode in case.modes)


def rounded(a: np.ndarray) -> np.ndarray:
    """An array whose floating-point numbers have 16 bits, in 64."""
    return a.astype(np.float16).astype(np.float64) if a.dtype.kind == "f" else a


def inputs_of(case: Case) -> list:
    """The values that a line is called on, the same in every mode."""
    values = case.inputs(Draw(np.random.default_rng(11), np.dtype("float64")))
    return layers.converted(values, lambda v: rounded(v) if isinstance(v, np.ndarray) else v)


def arrays_in(values: list) -> list[np.ndarray]:
    """The arrays among them, in order."""
    found: list = []
    layers.converted(values, lambda v: found.append(v) if isinstance(v, np.ndarray) else None)
    return found


def replaced(values: list, arrays: list) -> list:
    """Values with other arrays in their places."""
    new = iter(arrays)
    return layers.converted(values, lambda v: next(new).view(type(v)) if isinstance(v, np.ndarray) else v)


def asked(value: np.ndarray) -> bool:
    """Whether the gradient of an input is recorded."""
    return value.dtype.kind == "f" and not isinstance(value, layers.Fixed)


def answer(layer: Any, case: Case, values: list, convert: Callable, make: Callable) -> tuple[list, list, list, list]:
    """The results, the gradients of their weighted sum by inputs and parameters, and the buffers afterwards."""
    inputs, outputs = run(layer, case, values, convert)
    total: Any = 0
    for y in outputs:
        if y.requires_grad:
            total = total + (y * make(weights(tuple(y.shape), "float64"))).sum()
    if getattr(total, "requires_grad", False):
        total.backward()
    parameters = list(layer.parameters())
    return outputs, [x.grad for x in inputs], [p.grad for p in parameters], list(layer.buffers())


class Pools:
    """Arrays one after the other, each kept once."""

    def __init__(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {name: [np.zeros(0, kind)] for name, kind in POOLS.items()}
        self.starts: dict[tuple[str, bytes], int] = {}

    def place(self, name: str, a: np.ndarray) -> int:
        """Where an array lies in its pool."""
        a = np.ascontiguousarray(a, POOLS[name]).ravel()
        key = name, a.tobytes()
        if key not in self.starts:
            self.starts[key] = sum(map(len, self.parts[name]))
            self.parts[name].append(a)
        return self.starts[key]

    def row(self, call: int, part: int, a: np.ndarray) -> list[int]:
        """The row of the layout for an array."""
        name = "wholes" if a.dtype.kind != "f" else "halves" if part in (INPUT, STATE) else "singles"
        place = [call, part, list(POOLS).index(name), self.place(name, a)]
        return [*place, a.ndim, *a.shape, *[0] * (AXES - a.ndim)]


def unpacked(file: Any) -> list[list[list[np.ndarray]]]:
    """For each call the arrays of each part, floating-point numbers in 64 bits."""
    records: list = [[[] for _ in PARTS] for _ in file["calls"]]
    pools = [file[name] for name in POOLS]
    for call, part, pool, start, ndim, *shape in file["layout"].tolist():
        shape = shape[:ndim]
        a = pools[pool][start : start + math.prod(shape)].reshape(shape)
        records[call][part].append(a.astype(np.int64 if a.dtype.kind == "i" else np.float64))
    return records


def record() -> None:
    """Ask PyTorch, and write the file."""
    import torch

    def tensor(a: Any) -> Any:
        return torch.tensor(a, requires_grad=asked(a)) if isinstance(a, np.ndarray) else a

    def array(t: Any) -> np.ndarray:
        return NONE if t is None else (t.to_dense() if t.is_sparse else t).detach().numpy()

    pools, labels, names, layout = Pools(), [], [], []
    for k, (label, case, mode) in enumerate(calls()):
        torch.manual_seed(0)
        layer, values = layer_of(torch.nn, case).double(), inputs_of(case)
        if "Lazy" in case.name:
            run(layer, case, values, tensor)
            layer.zero_grad()
            if hasattr(layer, "reset_running_stats"):
                layer.reset_running_stats()
        layer.load_state_dict({n: torch.tensor(rounded(t.numpy())) for n, t in layer.state_dict().items()})
        layer.train(mode == "train")
        state = {n: t.numpy().copy() for n, t in layer.state_dict().items()}
        results = answer(layer, case, values, tensor, torch.from_numpy)
        for part, arrays in zip(PARTS, (arrays_in(values), list(state.values()), *results)):
            layout += [pools.row(k, part, a if isinstance(a, np.ndarray) else array(a)) for a in arrays]
        labels.append(label)
        names.append(" ".join(state))
    FILE.parent.mkdir(exist_ok=True)
    joined = {name: np.concatenate(parts) for name, parts in pools.parts.items()}
    np.savez_compressed(
        FILE, calls=np.array(labels), names=np.array(names), layout=np.array(layout, np.int32), **joined
    )
    print(f"{len(labels)} calls, {FILE.stat().st_size / 1024:.0f} KiB, PyTorch {torch.__version__}")


if __name__ == "__main__":
    record()
