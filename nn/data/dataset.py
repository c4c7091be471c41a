"""Collections of samples: by position, by iteration, and made of others."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset",
    "random_split",
]  # fmt: skip


class Dataset:
    """Samples by position: a subclass says `__getitem__` and, for whoever needs to know how many, `__len__`.

    Two more are used where they exist: `__getitems__(positions)` gives a list of samples, and `__getbatch__(positions)`
    a whole batch, put together, for an array of positions.
    """

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(f"{type(self).__name__} is a Dataset without __getitem__: say how sample `index` is made")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Samples one after the other: a subclass says `__iter__`.  With workers, each iterates on its own; `get_worker_info`
    tells it which share is its."""

    def __iter__(self) -> Iterator:
        raise TypeError(f"{type(self).__name__} is an IterableDataset without __iter__: say how its samples are made")

    def __add__(self, other: Any) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Tensors or arrays with as many rows each; a sample is one row of each."""

    def __init__(self, *tensors: Any):
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        self.tensors = tuple(t if isinstance(t, ag.Tensor) else ag.from_numpy(np.asarray(t)) for t in tensors)
        if any(t.ndim == 0 for t in self.tensors):
            raise ValueError("TensorDataset: a tensor without axes has no rows")
        if len({len(t) for t in self.tensors}) > 1:
            lengths = ", ".join(str(len(t)) for t in self.tensors)
            raise ValueError(f"TensorDataset: the tensors must have as many rows each, but have {lengths}")
        self._arrays = tuple(t.detach().numpy() for t in self.tensors)

    def __getitem__(self, index: Any) -> tuple:
        return tuple(t[index] for t in self.tensors)

    def __getbatch__(self, positions: np.ndarray) -> list:
        return [ag.from_numpy(a.take(positions, axis=0)) for a in self._arrays]

    def __len__(self) -> int:
        return len(self.tensors[0])


class StackDataset(Dataset):
    """Data sets side by side: a sample is the tuple, or the dict by name, of theirs."""

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give data sets by position or by name, at least one and not both")
        self.datasets: Any = args or kwargs
        lengths = {len(d) for d in (args or kwargs.values())}
        if len(lengths) > 1:
            raise ValueError(f"StackDataset: the data sets must be equally long, but have {sorted(lengths)} samples")
        (self._length,) = lengths

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: d[index] for name, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset):
    """Data sets one behind the other."""

    def __init__(self, datasets: Any):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise TypeError("ConcatDataset: an IterableDataset has no positions; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        position = _counted(index, len(self), "ConcatDataset")
        k = bisect_right(self.cumulative_sizes, position)
        return self.datasets[k][position - (self.cumulative_sizes[k - 1] if k else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """Iterable data sets one behind the other."""

    def __init__(self, datasets: Any):
        self.datasets = list(datasets)
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise TypeError(f"ChainDataset: expected IterableDatasets, got {type(d).__name__}; use ConcatDataset")

    def __iter__(self) -> Iterator:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


class Subset(Dataset):
    """The samples of a data set at some positions."""

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices
        if hasattr(dataset, "__getbatch__"):
            self.__getbatch__ = self._batch

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def _batch(self, positions: np.ndarray) -> Any:
        return self.dataset.__getbatch__(np.asarray(self.indices)[positions])

    def __getitems__(self, positions: list) -> list:
        inner = [self.indices[i] for i in positions]
        many = getattr(self.dataset, "__getitems__", None)
        return many(inner) if many else [self.dataset[i] for i in inner]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: ag.Generator | None = None) -> list[Subset]:
    """The data set cut at random into parts of these lengths, or of these shares of the whole if they sum to 1."""
    sizes = _shares(lengths, len(dataset)) if math.isclose(sum(lengths), 1) else list(lengths)
    if any(not isinstance(n, (int, np.integer)) or n < 0 for n in sizes) or sum(sizes) != len(dataset):
        raise ValueError(
            f"random_split: lengths must be whole numbers that sum to the {len(dataset)} samples there are, or shares "
            f"that sum to 1, but {list(lengths)} sum to {sum(lengths)}"
        )
    order = ag.randperm(len(dataset), generator=generator).tolist()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - n : end]) for n, end in zip(sizes, ends)]


def _shares(lengths: Sequence[float], count: int) -> list[int]:
    """Shares of a count in whole numbers, rounded down; what is left over goes to the first ones, one each."""
    for share in lengths:
        if share < 0:
            raise ValueError(f"random_split: a share must not be negative, got {share}")
    sizes = [int(count * share) for share in lengths]
    for k in range(count - sum(sizes)):
        sizes[k % len(sizes)] += 1
    return sizes


def _counted(index: int, length: int, name: str) -> int:
    """A position from the start for one that may count from the end."""
    if not -length <= index < length:
        raise IndexError(f"{name}: sample {index} of {length}")
    return index + length if index < 0 else index
