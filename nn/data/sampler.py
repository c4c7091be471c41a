"""Orders in which samples are visited."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """Positions one after the other: a subclass says `__iter__` and, if it knows how many, `__len__`."""

    def __init__(self, data_source: Any = None):
        pass

    def __iter__(self) -> Iterator:
        raise TypeError(f"{type(self).__name__} is a Sampler without __iter__: say in which order samples are visited")


class Drawn(Sampler):
    """A sampler that knows its whole order beforehand: `order` is an array."""

    def order(self) -> np.ndarray:
        """All positions of an epoch."""
        raise TypeError(f"{type(self).__name__} does not say its order")

    def __iter__(self) -> Iterator:
        return iter(self.order().tolist())


class SequentialSampler(Drawn):
    """From the first to the last."""

    def __init__(self, data_source: Any):
        self.data_source = data_source

    def order(self) -> np.ndarray:
        return np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Drawn):
    """Every sample once, in random order; or so many draws, also with replacement."""

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: ag.Generator | None = None,
    ):
        if num_samples is not None:
            whole("RandomSampler", num_samples=num_samples)
        self.data_source, self.replacement, self._num_samples = data_source, replacement, num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many positions an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> np.ndarray:
        n, count, generator = len(self.data_source), self.num_samples, self.generator
        if count and not n:
            raise ValueError(f"RandomSampler: cannot draw {count} samples from an empty data set")
        if self.replacement:
            return ag.randint(0, n, (count,), generator=generator).numpy() if count else np.zeros(0, np.int64)
        rounds = [ag.randperm(n, generator=generator).numpy() for _ in range(math.ceil(count / n) if count else 0)]
        return np.concatenate([np.zeros(0, np.int64), *rounds])[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Drawn):
    """These positions, in random order."""

    def __init__(self, indices: Sequence[int], generator: ag.Generator | None = None):
        self.indices, self.generator = indices, generator

    def order(self) -> np.ndarray:
        return np.asarray(self.indices, np.int64)[ag.randperm(len(self.indices), generator=self.generator).numpy()]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Drawn):
    """Positions drawn with probabilities in proportion to weights."""

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: ag.Generator | None = None):
        whole("WeightedRandomSampler", num_samples=num_samples)
        self.weights = ag.as_tensor(weights, dtype=ag.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: weights must be one row of numbers, got {self.weights.shape}")
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def order(self) -> np.ndarray:
        return ag.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).numpy()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The positions of a sampler, so many at a time."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False):
        whole("BatchSampler", batch_size=batch_size)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator:
        batch = []
        for position in self.sampler:
            batch.append(position)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def arrays(self) -> Iterator[np.ndarray]:
        """The same batches as arrays, cut from an order that is known beforehand."""
        order = self.sampler.order()
        end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
        return (order[k : k + self.batch_size] for k in range(0, end, self.batch_size))


def whole(name: str, least: int = 1, **numbers: Any) -> None:
    """Refuse what is not a whole number from `least` on."""
    for argument, n in numbers.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
            raise ValueError(f"{name}: {argument} must be a whole number from {least} on, got {n!r:.40}")
