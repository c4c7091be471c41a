"""Saving and loading states: safetensors and .npz are written; these, .npy and PyTorch's checkpoints are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from autograd_core import from_numpy
from autograd_core.ops.create import as_device

from . import archive, checkpoint, npz, safetensors
from .atomic import replacing
from .encodings import DTYPES
from .source import FileError, Source, opened, shown
from .structure import STRUCTURE, flatten, unflatten

__all__ = ["FileError", "load", "save"]

_FOREIGN = {".pt": "PyTorch", ".pth": "PyTorch", ".npy": "NumPy", ".h5": "HDF5", ".onnx": "ONNX", ".gguf": "GGUF"}


def save(path: Any, state: dict, metadata: dict[str, str] | None = None) -> None:
    """Write a state: a dict of tensors or arrays, or of dicts, lists, numbers and text with tensors among them.

    The format is safetensors, or NumPy's .npz where the path ends so.  A file is replaced whole or, if anything goes
    wrong, left as it was; an open file is written to as it is.  `metadata` are texts for whoever reads the file.
    """
    suffix = suffix_of(path)
    write = _npz(state, metadata) if suffix == ".npz" else _safetensors(state, metadata)
    if hasattr(path, "write"):
        write(_Whole(path))
        return
    with replacing(path) as file:
        write(file)


def load(
    path: Any, map_location: Any = None, *, mmap: bool = False, return_metadata: bool = False, weights_only: Any = None
) -> Any:
    """Read what `save`, PyTorch's `torch.save`, NumPy or another program wrote; no code in a file is ever run.

    What the file is, its bytes decide.  With `mmap=True` tensors lie in the file's own pages, which are read when used
    and copied when written to; `return_metadata=True` gives a pair, the state and the texts that were saved with it.
    Tensors lie on the one device, and files hold no more than weights: PyTorch's `map_location` and `weights_only` may say
    so, and nothing else.
    """
    _require_here(map_location)
    if weights_only not in (None, True):
        raise ValueError(
            f"load: weights_only={weights_only!r:.40} would run code that is in the file, which is never done; leave it "
            "out: tensors, numbers, texts, lists and dicts are read all the same"
        )
    with opened(path, mmap) as source:
        state, metadata = _read(source)
    return (state, metadata) if return_metadata else state


def _require_here(map_location: Any) -> None:
    """Raise if tensors are to go where there is nothing; what a function would say of that is not asked."""
    there = map_location.values() if isinstance(map_location, Mapping) else [map_location]
    for where in there:
        if not callable(where):
            as_device(where, "load")


def suffix_of(path: Any) -> str:
    """The ending of a path that says the format, after a look at what cannot be meant."""
    if hasattr(path, "write"):
        if hasattr(path, "encoding"):
            raise TypeError("save: the file is open as text; open it with open(..., 'wb')")
        return ""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"save: expected a path and then a state, got {type(path).__name__} first")
    suffix = os.path.splitext(os.fsdecode(os.fspath(path)))[1].lower()
    if suffix in _FOREIGN:
        raise ValueError(f"save: {suffix} is for {_FOREIGN[suffix]}'s files; what is written is .safetensors or .npz")
    return suffix


def _safetensors(state: Any, metadata: dict[str, str] | None) -> Any:
    """What writes a state as safetensors, after all checks."""
    texts = dict(metadata or {})
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):
        raise TypeError(
            f"save: metadata should be a dict of text, got {shown(metadata)}; use json.dumps for other values"
        )
    if STRUCTURE in texts:
        raise ValueError(f"save: the name {STRUCTURE!r} in metadata is the library's own")
    arrays, structure = flatten(state, safetensors.DTYPES)
    if structure is not None:
        texts[STRUCTURE] = structure
    return lambda file: safetensors.write(file, arrays, texts)


def _npz(state: Any, metadata: dict[str, str] | None) -> Any:
    """What writes a state as .npz, after all checks."""
    if metadata:
        raise ValueError("save: .npz has no place for metadata; use .safetensors, or put the texts into the state")
    arrays, structure = flatten(state, DTYPES)
    return lambda file: npz.write(file, arrays, structure)


def _read(source: Source) -> tuple[Any, dict[str, str]]:
    if archive.recognized(source):
        return _read_archive(source), {}
    if npz.recognized(source):
        return from_numpy(npz.read_one(source)), {}
    if safetensors.recognized(source):
        arrays, metadata = safetensors.read(source)
        return _state(source, arrays, metadata.pop(STRUCTURE, None)), metadata
    checkpoint.refuse_pickle(source)
    begin = source.read(0, min(source.size, 16), "")
    raise source.fault(
        f"it begins with {begin!r}; what can be read is safetensors, PyTorch's checkpoints (.pt), and NumPy's .npz and .npy"
        if begin
        else "it is empty"
    )


def _read_archive(source: Source) -> Any:
    entries = archive.directory(source)
    if checkpoint.recognized(entries):
        return checkpoint.read(source, entries)
    if npz.recognized_entries(entries):
        return _state(source, *npz.read(source, entries))
    raise source.fault(
        f"it is a zip archive with the entry {shown(next(iter(entries)))}: neither a checkpoint of PyTorch nor arrays of NumPy"
    )


def _state(source: Source, arrays: dict, structure: str | None) -> Any:
    if structure is None:
        return {name: from_numpy(array) for name, array in arrays.items()}
    return unflatten(source, structure, arrays)


class _Whole:
    """An open file whose `write` may take only a part of what it is given."""

    def __init__(self, file: Any):
        self.file = file

    def write(self, data: Any) -> None:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            written = self.file.write(rest)
            if written is None:
                return  # what writes everything may say nothing
            rest = rest[written:]
