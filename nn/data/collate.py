"""Samples put together into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence) -> Any:
    """One value of a list of samples: numbers, arrays and tensors become a tensor with an axis more; dicts, tuples and
    lists are put together part by part; texts stay a list."""
    return _collated(batch, "a sample")


def default_convert(data: Any) -> Any:
    """One sample with its arrays as tensors."""
    if isinstance(data, (np.ndarray, np.generic)):
        return data if np.asarray(data).dtype.kind in "USO" else ag.tensor(data)
    return _rebuilt(data, list(map(default_convert, _parts(data)))) if _nested(data) else data


def _collated(batch: Sequence, where: str) -> Any:
    first = batch[0]
    if isinstance(first, ag.Tensor):
        return ag.stack(_alike(batch, where))
    if isinstance(first, np.ndarray) and first.dtype.kind not in "USO":
        return ag.from_numpy(np.stack(_alike(batch, where)))
    if isinstance(first, (bool, int, float, complex, np.number, np.bool_)):
        return ag.from_numpy(np.array(batch))  # Python's floats are float64, as in PyTorch
    if isinstance(first, (str, bytes)):
        return list(batch)
    if not _nested(first):
        raise TypeError(
            f"default_collate: {where} is {type(first).__name__}, which is no number, array, tensor, text or nest of "
            "these; give the DataLoader a collate_fn that puts such samples together"
        )
    if any(len(sample) != len(first) for sample in batch):
        raise ValueError(f"default_collate: {where} has {len(first)} parts in one place and another number in another")
    if isinstance(first, Mapping):
        columns = [[sample[key] for sample in batch] for key in first]
        names = [f"{where}[{key!r}]" for key in first]
    else:
        columns = list(map(list, zip(*batch)))
        names = [f"{where}[{k}]" for k in range(len(first))]
    return _rebuilt(first, [_collated(column, name) for column, name in zip(columns, names)])


def _alike(batch: Sequence, where: str) -> Sequence:
    """The batch, if all have one shape."""
    for k, x in enumerate(batch):
        if x.shape != batch[0].shape:
            raise ValueError(
                f"default_collate: {where} has shape {tuple(batch[0].shape)} in the first sample of a batch and "
                f"{tuple(x.shape)} in sample {k}; crop or pad them alike, or give the DataLoader a collate_fn"
            )
    return batch


def _nested(value: Any) -> bool:
    return isinstance(value, (Mapping, Sequence)) and not isinstance(value, (str, bytes))


def _parts(value: Any) -> list:
    return list(value.values()) if isinstance(value, Mapping) else list(value)


def _rebuilt(like: Any, parts: list) -> Any:
    """Parts in the form of a nest: a dict of its kind, a named tuple, a tuple, or a list."""
    if isinstance(like, Mapping):
        pairs = dict(zip(like, parts))
        return pairs if type(like) is dict else type(like)(pairs)  # type: ignore[call-arg]
    if isinstance(like, tuple):
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    return parts
