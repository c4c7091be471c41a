"""Batches made ahead of time by threads, handed over in order.

Threads share memory, so nothing is copied between processes, and NumPy, decoders and the kernels here work beside each
other.  Whatever a batch draws at random depends on the epoch's seed and the batch's number alone: it is the same for
any number of workers.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import autograd_core as ag

__all__ = ["WorkerInfo", "get_worker_info"]


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker a thread is, of how many; the seed of its random numbers, and the data set it reads."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """What the worker is in whose thread this is called; None elsewhere."""
    return getattr(_here, "info", None)


def numbered(seed: int, number: int) -> ag.Generator:
    """The random numbers of one batch of an epoch, or of whatever else has a number there."""
    generator = ag.Generator(seed)
    generator.state[1] = number + 1  # the second word of the key: no other draw of the seed shares bits with it
    return generator


class Pool:
    """So many workers; each task goes to any of them (`shared`) or to the one whose turn it is."""

    def __init__(self, workers: int, begin: Callable[[int], None], shared: bool):
        if shared:
            ids = itertools.count()
            self.executors = [ThreadPoolExecutor(workers, "nn.data", lambda: begin(next(ids)))]
        else:
            self.executors = [ThreadPoolExecutor(1, "nn.data", begin, (k,)) for k in range(workers)]

    def submit(self, number: int, work: Callable, *args: Any) -> Future:
        """Work for the pool."""
        return self.executors[number % len(self.executors)].submit(_done, work, *args)

    def close(self) -> None:
        """Let go of the threads; what has begun is finished, the rest forgotten."""
        for executor in self.executors:
            executor.shutdown(wait=False, cancel_futures=True)


def _done(work: Callable, *args: Any) -> Any:
    """What work gives, in a thread that has become a worker; if it could not become one, the reason is raised here."""
    if (error := getattr(_here, "error", None)) is not None:
        raise error
    return work(*args)


def in_order(pool: Pool, tasks: Iterable[tuple], ahead: int, timeout: float) -> Iterator:
    """The results of tasks (number, function, arguments...), in order, at most so many of them begun ahead."""
    tasks, waiting = iter(tasks), deque[Future]()
    try:
        while True:
            for task in itertools.islice(tasks, ahead - len(waiting)):
                waiting.append(pool.submit(*task))
            if not waiting:
                return
            yield _awaited(waiting.popleft(), timeout)
    finally:
        for future in waiting:
            future.cancel()


def _awaited(future: Future, timeout: float) -> Any:
    try:
        return future.result(timeout or None)
    except TimeoutError:
        if future.done():
            raise  # the data set's own
        raise RuntimeError(
            f"DataLoader: no batch within {timeout} s; raise `timeout`, take more workers, or look at what "
            "the data set waits for"
        ) from None


def introduced(info: WorkerInfo, initialize: Callable[[int], Any] | None) -> None:
    """Make this thread a worker."""
    _here.info = info
    try:
        if initialize is not None:
            initialize(info.id)
    except BaseException as error:  # raised in a pool's own initializer it would be logged, and lost to the caller
        _here.error = error
