"""Sequences of several lengths: padded to one length, or packed, the steps of all sequences one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from autograd_core import Tensor, cat, full, index_copy, index_select, tensor
from autograd_core.ops.arguments import innermost_of

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class Packed(NamedTuple):
    """What a PackedSequence consists of."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(Packed):
    """Sequences, longest first: `data` has the first step of each, then the second of each that has one, and so on.

    `batch_sizes` says how many have each step; `sorted_indices` in what order the sequences were taken, if not in
    their own.  `pack_padded_sequence` and `pack_sequence` make them.
    """

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Self:
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise ValueError("PackedSequence: batch_sizes is missing; pack_sequence(list of sequences) makes both")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same sequences in another type, as `data.to` takes it."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self, *args: Any, **kwargs: Any) -> Self:
        """Where everything is."""
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """There is no such device here: an error that says so."""
        return self.to("cuda")

    @property
    def is_cuda(self) -> bool:
        """Never."""
        return False

    def double(self) -> Self:
        """Floats of 64 bits."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Floats of 32 bits."""
        return self.to(np.float32)

    def half(self) -> Self:
        """Floats of 16 bits."""
        return self.to(np.float16)

    def long(self) -> Self:
        """Whole numbers of 64 bits."""
        return self.to(np.int64)

    def int(self) -> Self:
        """Whole numbers of 32 bits."""
        return self.to(np.int32)

    def short(self) -> Self:
        """Whole numbers of 16 bits."""
        return self.to(np.int16)

    def char(self) -> Self:
        """Whole numbers of 8 bits."""
        return self.to(np.int8)

    def byte(self) -> Self:
        """Whole numbers of 8 bits without a sign."""
        return self.to(np.uint8)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one; None undoes None."""
    if permutation is None:
        return None
    order = _whole(permutation, "invert_permutation", "permutation")
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size, dtype=order.dtype)
    return tensor(inverse)


# --- packing ---------------------------------------------------------------------------------------------------------


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack input (time, batch, ...), or (batch, time, ...): of each sequence its first steps, as many as `lengths` says.

    Without `enforce_sorted` the sequences may come in any order.
    """
    name = "pack_padded_sequence"
    if input.ndim < 2:
        raise ValueError(f"{name}: input must be (time, batch, ...), got shape {tuple(input.shape)}")
    (batch, steps) = input.shape[:2] if batch_first else input.shape[1::-1]
    lengths = _whole(lengths, name, "lengths")
    if lengths.shape != (batch,):
        axes = "(batch, time, ...)" if batch_first else "(time, batch, ...)"
        raise ValueError(
            f"{name}: {batch} lengths are needed, one for each sequence of input {tuple(input.shape)}, which is {axes}; "
            f"got {lengths.size}; batch_first={not batch_first} takes the axes the other way around"
        )
    if lengths.size and lengths.max() > steps:
        raise ValueError(f"{name}: input has {steps} steps, a length is {lengths.max()}")
    starts, step = (np.arange(batch) * steps, 1) if batch_first else (np.arange(batch), batch)
    return _packed(input.reshape(batch * steps, *input.shape[2:]), starts, step, lengths, enforce_sorted, name)


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (time, ...); without `enforce_sorted` they may come in any order."""
    sequences = _listed(sequences, "pack_sequence")
    lengths = np.array([s.shape[0] for s in sequences])
    return _packed(cat(sequences), np.cumsum(lengths) - lengths, 1, lengths, enforce_sorted, "pack_sequence")


def _packed(
    rows: Tensor, starts: np.ndarray, step: int, lengths: np.ndarray, sorted: bool, name: str
) -> PackedSequence:
    """Sequence b has its steps in the rows starts[b], starts[b] + step, ..."""
    if not lengths.size or lengths.min() <= 0:
        given = f"got {lengths.tolist()}"[:80]
        raise ValueError(f"{name}: every sequence needs one step at least, {given}; leave the empty ones out")
    order = np.argsort(-lengths, kind="stable")
    if sorted and np.any(np.diff(lengths) > 0):
        raise ValueError(
            f"{name}: the longest sequence must come first and lengths must not rise, got {f'{lengths.tolist()}'[:80]}; "
            "enforce_sorted=False takes them in any order"
        )
    time, place = np.nonzero(np.arange(lengths.max())[:, None] < lengths[order])
    data = index_select(rows, 0, tensor(starts[order][place] + time * step))
    return PackedSequence(data, tensor(np.bincount(time)), None if sorted else tensor(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The sequences in their own order, padded to the length of the longest or to `total_length`; and their lengths."""
    if not isinstance(sequence, tuple) or len(sequence) != 4:
        raise TypeError(f"pad_packed_sequence: expected a PackedSequence, got {type(sequence).__name__}")
    time, place, lengths = _places(sequence)
    steps, batch = lengths.max(), lengths.size
    if total_length is not None and total_length < steps:
        raise ValueError(
            f"pad_packed_sequence: total_length={total_length}, but the longest sequence has {steps} steps"
        )
    steps = steps if total_length is None else total_length
    return _padded(sequence.data, time, place, steps, batch, batch_first, padding_value), tensor(lengths)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences as a list, in their own order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _places(packed: PackedSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row of the data its step and its sequence, and the lengths, in the order from before sorting."""
    sizes = _whole(packed.batch_sizes, "pad_packed_sequence", "batch_sizes")
    lengths = (np.arange(sizes[0]) < sizes[:, None]).sum(0)
    time, place = np.nonzero(np.arange(sizes[0]) < sizes[:, None])
    if packed.unsorted_indices is None:
        return time, place, lengths
    back = _whole(packed.unsorted_indices, "pad_packed_sequence", "unsorted_indices")
    return time, np.argsort(back)[place], lengths[back]


# --- padding ---------------------------------------------------------------------------------------------------------


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """A list of sequences (time, ...) as one tensor (time, batch, ...), the shorter ones padded on one side."""
    sequences = _listed(sequences, "pad_sequence")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r:.40}")
    lengths = np.array([s.shape[0] for s in sequences])
    longest = int(lengths.max())
    place = np.repeat(np.arange(lengths.size), lengths)
    time = np.concatenate([np.arange(n) + (longest - n) * (padding_side == "left") for n in lengths])
    return _padded(cat(sequences), time, place, longest, lengths.size, batch_first, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Of each padded sequence its first steps, as many as `lengths` says, in a list."""
    counts = _whole(lengths, "unpad_sequence", "lengths")
    sequences = list(padded_sequences if batch_first else padded_sequences.transpose(0, 1))
    if counts.shape != (len(sequences),):
        raise ValueError(
            f"unpad_sequence: {len(sequences)} lengths are needed for {tuple(padded_sequences.shape)} with "
            f"batch_first={batch_first}, got {counts.size}"
        )
    return [sequence[: max(int(n), 0)] for sequence, n in zip(sequences, counts)]


def _padded(
    rows: Tensor, time: np.ndarray, place: np.ndarray, steps: int, batch: int, batch_first: bool, value: float
) -> Tensor:
    """Rows at their times and places among rows that are all of one value."""
    where, lead = (place * steps + time, (batch, steps)) if batch_first else (time * batch + place, (steps, batch))
    around = full((steps * batch, *rows.shape[1:]), value, dtype=rows.dtype)
    return index_copy(around, 0, tensor(where), rows).reshape(*lead, *rows.shape[1:])


def _listed(sequences: Iterable[Tensor], name: str) -> list[Tensor]:
    """The sequences of a list, all of one type and with the same axes behind the first."""
    if not isinstance(sequences, Iterable):
        raise TypeError(f"{name}: expected a list of sequences, got {type(sequences).__name__}")
    sequences = list(sequences)
    if not sequences or any(not hasattr(s, "ndim") or not s.ndim for s in sequences):
        raise ValueError(f"{name}: expected a list of tensors (time, ...), got {f'{sequences}'[:60]}")
    behind = {tuple(s.shape[1:]) for s in sequences}
    if len(behind) > 1:
        raise ValueError(f"{name}: the axes behind the first must be the same, got {sorted(behind)}")
    return sequences


def _whole(values: Any, name: str, what: str) -> np.ndarray:
    """A vector of whole numbers."""
    array = np.asarray(innermost_of(values, f"{name}: {what}"))
    if array.ndim != 1 or array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: {what} must be a vector of whole numbers, got shape {array.shape} {array.dtype}")
    return array.astype(np.int64)
