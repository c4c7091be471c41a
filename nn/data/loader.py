"""DataLoader: batches of a data set, epoch after epoch, to be resumed anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, Drawn, RandomSampler, SequentialSampler, whole
from .workers import Pool, WorkerInfo, in_order, introduced, numbered

__all__ = ["DataLoader"]


class DataLoader:
    """Iterating gives the batches of one epoch.

    Workers are threads.  Each epoch draws a seed, from `generator` or the default one; the order of the samples and all
    that a data set draws at random while a batch is made follow from it, whatever the number of workers.  `state_dict`
    says where in which epoch the loader is; after `load_state_dict` the next iteration goes on from there.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable | None = None,
        multiprocessing_context: Any = None,
        generator: ag.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        order = {"shuffle": shuffle, "sampler": sampler, "batch_sampler": batch_sampler, "drop_last": drop_last}
        _check(dataset, batch_size, num_workers, timeout, prefetch_factor, **order)
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.prefetch_factor = prefetch_factor or (2 if num_workers else None)
        self.worker_init_fn, self.generator = worker_init_fn, generator
        self.pin_memory, self.persistent_workers = pin_memory, persistent_workers
        self.iterable = isinstance(dataset, IterableDataset)
        self.batch_size, self.drop_last = (None, False) if batch_sampler is not None else (batch_size, drop_last)
        if not self.iterable and sampler is None and batch_sampler is None:
            sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
        if not self.iterable and batch_sampler is None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.batched = batch_sampler is not None or batch_size is not None
        self.collate_fn = collate_fn or (default_collate if self.batched else default_convert)
        self._place: _Place | None = None
        self._resume: dict | None = None

    def __iter__(self) -> _Epoch:
        samplers = {name: g for name, g in _generators(self).items() if name != "generator"}
        if self._resume is None:
            seed = int(ag.randint(0, 2**62, (), generator=self.generator))
            self._place = _Place(seed, 0, _states(samplers))
        else:
            self._place, self._resume = _Place(**self._resume), None
            _set_states(samplers, self._place.generators)  # the order of this epoch is drawn again
        return _Epoch(self, self._place)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        if not self.iterable:
            return len(self.batch_sampler if self.batched else self.sampler)
        if self.batch_size is None:
            return len(self.dataset)
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def state_dict(self) -> dict:
        """Where the loader is: the epoch under way, if any, and the states of generators that the user gave."""
        under_way = self._place.state_dict() if self._place else self._resume
        return {"epoch": under_way, "generators": _states(_generators(self))}

    def load_state_dict(self, state: dict) -> None:
        """Let the next iteration go on from where `state_dict` was asked for."""
        if set(state) != {"epoch", "generators"}:
            raise ValueError(f"DataLoader: expected a state that state_dict gave, got one with {sorted(state)}")
        _set_states(_generators(self), state["generators"])
        self._place, self._resume = None, state["epoch"]


@dataclass
class _Place:
    """Where an epoch is.  The loader keeps this and not the iterator, so that one that nobody wants ends its threads."""

    seed: int
    batches: int
    generators: dict  # their states when the epoch began
    over: bool = False

    def state_dict(self) -> dict | None:
        return None if self.over else {"seed": self.seed, "batches": self.batches, "generators": self.generators}


class _Epoch:
    """One pass over the data."""

    def __init__(self, loader: DataLoader, place: _Place):
        self.place, self.length = place, loader.__len__
        self.made = (_iterated if loader.iterable else _fetched)(loader, place.seed, place.batches)

    def __iter__(self) -> _Epoch:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self.made)
        except BaseException:
            self.place.over = True
            raise
        self.place.batches += 1
        return batch

    def __len__(self) -> int:
        return self.length()


def _generators(loader: DataLoader) -> dict:
    """The generators that the user gave, by where: the default one is the user's to save."""
    source = loader.batch_sampler
    places = {"generator": loader, "batch_sampler": source, "sampler": getattr(source, "sampler", loader.sampler)}
    found = {name: getattr(place, "generator", None) for name, place in places.items()}
    return {name: g for name, g in found.items() if isinstance(g, ag.Generator)}


def _states(generators: dict) -> dict:
    return {name: g.get_state() for name, g in generators.items()}


def _set_states(generators: dict, states: dict) -> None:
    if set(generators) != set(states):
        raise ValueError(
            f"DataLoader: the state is of a loader with generators at {sorted(states)}, this one has {sorted(generators)}"
        )
    for name, g in generators.items():
        g.set_state(states[name])


# --- data sets with positions ----------------------------------------------------------------------------------------


def _fetched(loader: DataLoader, seed: int, skip: int) -> Iterator:
    """The batches of a data set with positions, but for the first ones."""
    make = _maker(loader)
    numbers = itertools.islice(enumerate(_positions(loader, seed)), skip, None)
    if not loader.num_workers:
        return (_drawn(seed, k, make, positions) for k, positions in numbers)
    return _by_workers(loader, seed, ((k, _drawn, seed, k, make, positions) for k, positions in numbers), shared=True)


def _drawn(seed: int, number: int, make: Callable, *args: Any) -> Any:
    """What is made, where random numbers belong to the batch."""
    with ag.drawing_from(numbered(seed, number)):
        return make(*args)


def _positions(loader: DataLoader, seed: int) -> Iterator:
    """What a batch is made of, batch after batch; samplers without a generator of their own draw from the epoch's."""
    source = loader.batch_sampler if loader.batched else loader.sampler
    with ag.drawing_from(ag.Generator(seed)) as draws:
        if type(source) is BatchSampler and isinstance(source.sampler, Drawn):
            return source.arrays()
        return _asked(iter(source), draws)


def _asked(order: Iterator, draws: ag.Generator) -> Iterator:
    """A sampler's positions, each asked for where random numbers are the epoch's."""
    end = object()
    while True:
        with ag.drawing_from(draws):
            positions = next(order, end)
        if positions is end:
            return
        yield positions


def _maker(loader: DataLoader) -> Callable:
    """The function that makes a batch of positions."""
    dataset, collate = loader.dataset, loader.collate_fn
    if not loader.batched:
        return lambda position: collate(dataset[position])
    if collate is default_collate and hasattr(dataset, "__getbatch__"):
        return lambda positions: dataset.__getbatch__(np.asarray(positions))
    if hasattr(dataset, "__getitems__"):
        return lambda positions: collate(dataset.__getitems__(_listed(positions)))
    return lambda positions: collate([dataset[k] for k in _listed(positions)])


def _listed(positions: Any) -> list:
    return positions.tolist() if isinstance(positions, np.ndarray) else positions


# --- data sets that iterate ------------------------------------------------------------------------------------------


def _iterated(loader: DataLoader, seed: int, skip: int) -> Iterator:
    """The batches of a data set that iterates, but for the first ones; every worker iterates on its own."""
    if not loader.num_workers:
        share = _Share(loader, seed, 0)
        made = iter(share.next, _Share.END)
    else:
        shares = [_Share(loader, seed, k) for k in range(loader.num_workers)]
        turns = ((k, shares[k % len(shares)].next) for k in itertools.count())
        made = _until_all_end(_by_workers(loader, seed, turns, shared=False), len(shares))
    return itertools.islice(made, skip, None)


class _Share:
    """What one worker iterates over."""

    END: Any = object()

    def __init__(self, loader: DataLoader, seed: int, number: int):
        self.loader, self.draws = loader, numbered(seed, number)
        self.samples: Iterator | None = None

    def next(self) -> Any:
        """The next batch, or END."""
        loader = self.loader
        with ag.drawing_from(self.draws):
            if self.samples is None:
                self.samples = iter(loader.dataset)
            if not loader.batched:
                sample = next(self.samples, self.END)
                return sample if sample is self.END else loader.collate_fn(sample)
            samples = list(itertools.islice(self.samples, loader.batch_size))
            wanted = loader.batch_size if loader.drop_last else 1
            return loader.collate_fn(samples) if len(samples) >= (wanted or 1) else self.END


def _until_all_end(results: Iterator, workers: int) -> Iterator:
    """What the workers give in turn; one that has ended is passed over."""
    ended: set[int] = set()
    for k, result in enumerate(results):
        if result is _Share.END:
            ended.add(k % workers)
            if len(ended) == workers:
                return
        else:
            yield result


def _by_workers(loader: DataLoader, seed: int, tasks: Iterator, shared: bool) -> Iterator:
    count = loader.num_workers
    begin = lambda k: introduced(WorkerInfo(k, count, seed + k, loader.dataset), loader.worker_init_fn)
    pool = Pool(count, begin, shared)
    try:
        yield from in_order(pool, tasks, count * (loader.prefetch_factor or 1), loader.timeout)
    finally:
        pool.close()


# --- arguments -------------------------------------------------------------------------------------------------------


def _check(dataset: Any, batch_size: Any, num_workers: Any, timeout: float, prefetch_factor: Any, **order: Any) -> None:
    """Refuse arguments that contradict each other, before anything is made of them."""
    if batch_size is not None:
        whole("DataLoader", batch_size=batch_size)
    whole("DataLoader", least=0, num_workers=num_workers)
    for text, wrong in (_of_order(batch_size, **order) | _of_kind(dataset, **order)).items():
        if wrong:
            raise ValueError(f"DataLoader: {text}")
    if timeout < 0:
        raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
    if prefetch_factor is not None and (not num_workers or prefetch_factor <= 0):
        raise ValueError(
            "DataLoader: prefetch_factor is how many batches each worker makes ahead: above 0, and only with num_workers"
        )


def _of_order(batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool) -> dict:
    others = batch_size != 1 or shuffle or sampler is not None or drop_last
    return {
        "a sampler decides the order; leave shuffle out": sampler is not None and shuffle,
        "a batch_sampler decides batch_size, shuffle, sampler and drop_last; leave them out": batch_sampler is not None
        and others,
        "without batches (batch_size=None) there is no last one to drop": batch_size is None and drop_last,
    }


def _of_kind(dataset: Any, shuffle: Any, sampler: Any, batch_sampler: Any, **_: Any) -> dict:
    if isinstance(dataset, IterableDataset):
        ordered = shuffle or sampler is not None or batch_sampler is not None
        return {"an IterableDataset has an order of its own; shuffle and samplers are for positions": ordered}
    kind = type(dataset).__name__
    missing = not hasattr(dataset, "__getitem__")
    return {f"{kind} has no __getitem__; derive it from Dataset, or from IterableDataset": missing}
