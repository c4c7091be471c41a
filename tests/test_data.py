"""nn.data: collections, orders, batches, workers, and epochs that are resumed."""

import collections
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
from nn import data
from nn.data import DataLoader, TensorDataset

ROWS = np.arange(46, dtype=np.float32).reshape(23, 2)


class Noisy(data.Dataset):
    """Samples that draw at random."""

    def __len__(self):
        return 23

    def __getitem__(self, k):
        return ag.tensor(float(k)) + ag.rand(())


class Counting(data.IterableDataset):
    """Numbers, shared out among workers as PyTorch's documentation does."""

    def __iter__(self):
        info = data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, 11, step))


class Grouped(data.Sampler):
    """A sampler of a user's: draws as it goes."""

    def __iter__(self):
        for start in range(0, 20, 5):
            yield [start + k for k in ag.randperm(5).tolist()]


def flat(batches) -> list:
    return [np.asarray(b[0] if isinstance(b, (tuple, list)) else b).tolist() for b in batches]


LOADERS = {
    "in order": lambda **k: DataLoader(TensorDataset(ROWS), 4, **k),
    "shuffled": lambda **k: DataLoader(TensorDataset(ROWS), 4, shuffle=True, **k),
    "last dropped": lambda **k: DataLoader(TensorDataset(ROWS), 4, shuffle=True, drop_last=True, **k),
    "random samples": lambda **k: DataLoader(Noisy(), 5, shuffle=True, **k),
    "own generator": lambda **k: DataLoader(Noisy(), 5, shuffle=True, generator=ag.Generator(1), **k),
    "sampler's generator": lambda **k: DataLoader(
        Noisy(), 5, sampler=data.RandomSampler(ROWS, generator=ag.Generator(1)), **k
    ),
    "weights": lambda **k: DataLoader(Noisy(), 5, sampler=data.WeightedRandomSampler(np.arange(23.0), 14), **k),
    "single samples": lambda **k: DataLoader(Noisy(), None, shuffle=True, **k),
    "user's batches": lambda **k: DataLoader(Noisy(), batch_sampler=Grouped(), **k),
    "subset": lambda **k: DataLoader(data.Subset(TensorDataset(ROWS), [3, 1, 4, 15, 9, 2]), 4, shuffle=True, **k),
    "iterable": lambda **k: DataLoader(Counting(), 3, **k),
}


# --- epochs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in LOADERS if n != "iterable"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_nothing(name: str, workers: int) -> None:
    found = []
    for count in (0, workers):
        ag.manual_seed(3)
        loader = LOADERS[name](num_workers=count)
        found.append([flat(loader), flat(loader)])
    assert found[0] == found[1]
    assert found[0][0] != found[0][1] or name == "in order"


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seen", [0, 1, 3, 99])
def test_a_loader_goes_on_where_its_state_says(name: str, workers: int, seen: int) -> None:
    ag.manual_seed(3)
    loader = LOADERS[name](num_workers=workers)
    flat(loader)
    epoch = iter(loader)
    for _, _batch in zip(range(seen), epoch):
        pass
    state, random = loader.state_dict(), ag.get_rng_state()
    rest = [flat(epoch)] if state["epoch"] else []
    rest += [flat(loader), flat(loader)]

    again = LOADERS[name](num_workers=2 - workers if name != "iterable" else workers)
    again.load_state_dict(state)
    ag.set_rng_state(random)
    assert again.state_dict()["epoch"] == state["epoch"]
    assert [flat(again) for _ in rest] == rest


def test_an_epoch_visits_every_sample_once() -> None:
    for workers in (0, 2):
        loader = DataLoader(TensorDataset(ROWS, np.arange(23)), 4, shuffle=True, num_workers=workers)
        rows, numbers = zip(*loader)
        assert len(rows) == len(loader) == 6
        order = np.concatenate(numbers)
        assert sorted(order) == list(range(23)) and list(order) != list(range(23))
        np.testing.assert_array_equal(np.concatenate(rows), ROWS[order])


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_lengths(count: int, drop_last: bool) -> None:
    loader = DataLoader(TensorDataset(np.zeros(count)), 4, drop_last=drop_last)
    assert len(list(loader)) == len(loader) == (count // 4 if drop_last else -(-count // 4))


def test_batches_are_copies() -> None:
    rows = ROWS.copy()
    for (batch,) in DataLoader(TensorDataset(rows), 23):
        batch.zero_()
    np.testing.assert_array_equal(rows, ROWS)


def test_workers_of_an_iterable_data_set_take_turns() -> None:
    assert flat(DataLoader(Counting(), 3)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
    assert flat(DataLoader(Counting(), 3, num_workers=2)) == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9]]
    assert flat(DataLoader(Counting(), 3, num_workers=2, drop_last=True)) == [[0, 2, 4], [1, 3, 5], [6, 8, 10]]


def test_workers_are_told_who_they_are() -> None:
    seen = []
    note = lambda k: seen.append((k, data.get_worker_info().id, data.get_worker_info().num_workers))
    for _ in DataLoader(TensorDataset(ROWS), 2, num_workers=2, worker_init_fn=note):
        time.sleep(0.001)
    assert set(seen) <= {(0, 0, 2), (1, 1, 2)} and (0, 0, 2) in seen
    assert data.get_worker_info() is None


class Failing(Noisy):
    def __getitem__(self, k):
        if k == 7:
            raise KeyError("sample seven")
        return k


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_arrives_at_its_batch(workers: int) -> None:
    epoch = iter(DataLoader(Failing(), 2, num_workers=workers))
    assert flat([next(epoch) for _ in range(3)]) == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(KeyError, match="sample seven"):
        next(epoch)


@pytest.mark.parametrize("dataset", [[1.0, 2.0, 3.0], None])
def test_an_error_of_a_worker_that_begins_arrives(dataset) -> None:
    def begin(number):
        raise LookupError("no such camera")

    class Endless(data.IterableDataset):
        def __iter__(self):
            return iter([1.0])

    with pytest.raises(LookupError, match="no such camera"):
        list(DataLoader(dataset or Endless(), num_workers=2, worker_init_fn=begin))


def test_no_thread_is_left_when_an_epoch_is_abandoned() -> None:
    workers = lambda: [t for t in threading.enumerate() if t.name.startswith("nn.data")]
    epoch = iter(DataLoader(Noisy(), 2, num_workers=3))
    next(epoch)
    assert workers()
    del epoch
    for _ in range(500):
        if not workers():
            break
        time.sleep(0.01)
    assert not workers()


def test_a_batch_that_does_not_come() -> None:
    released = threading.Event()

    class Stuck(Noisy):
        def __getitem__(self, k):
            released.wait(10)
            return k

    with pytest.raises(RuntimeError, match="no batch within 0.05 s"):
        next(iter(DataLoader(Stuck(), 2, num_workers=1, timeout=0.05)))
    released.set()


# --- orders ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 70), st.booleans())
@settings(max_examples=50, deadline=None)
def test_random_orders(n: int, count: int, replacement: bool) -> None:
    order = list(data.RandomSampler(range(n), replacement, count))
    assert len(order) == count and set(order) <= set(range(n))
    if not replacement:
        times = collections.Counter(order)
        assert max(times.values()) - min(times.get(k, 0) for k in range(n)) <= 1


@given(st.integers(0, 40), st.integers(1, 9), st.booleans())
@settings(max_examples=50, deadline=None)
def test_batches_of_an_order_as_lists_and_as_arrays(n: int, size: int, drop_last: bool) -> None:
    batches = data.BatchSampler(data.SequentialSampler(range(n)), size, drop_last)
    assert list(batches) == [b.tolist() for b in batches.arrays()]
    assert len(list(batches)) == len(batches)


def test_weights_decide_how_often() -> None:
    order = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=ag.Generator(0)))
    times = np.bincount(order, minlength=3)
    assert times[0] == 0 and 900 < times[1] < 1100
    assert sorted(data.WeightedRandomSampler([0.0, 1.0, 3.0], 2, replacement=False)) == [1, 2]


def test_a_subset_in_random_order() -> None:
    assert sorted(data.SubsetRandomSampler([5, 2, 9])) == [2, 5, 9]


# --- collections -----------------------------------------------------------------------------------------------------


def test_collections_made_of_others() -> None:
    a, b = TensorDataset(ROWS[:5]), TensorDataset(ROWS[5:])
    both = a + b
    assert len(both) == 23
    for k in (0, 4, 5, 22, -1, -23):
        np.testing.assert_array_equal(both[k][0], ROWS[k])
    with pytest.raises(IndexError, match="sample 23 of 23"):
        both[23]
    assert list(Counting() + Counting()) == [*range(11)] * 2
    stacked = data.StackDataset(x=a, y=range(5))
    assert stacked[3]["y"] == 3 and len(stacked) == 5
    (batch,) = DataLoader(stacked, 5)
    np.testing.assert_array_equal(batch["x"][0], ROWS[:5])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_random_split_by_lengths_and_by_shares(lengths: list, seed: int) -> None:
    parts = data.random_split(range(sum(lengths)), lengths, ag.Generator(seed))
    assert [len(p) for p in parts] == lengths or sum(lengths) == 1
    assert sorted(k for p in parts for k in p) == list(range(sum(lengths)))
    shares = data.random_split(range(100), [0.25, 0.7, 0.05], ag.Generator(seed))
    assert [len(p) for p in shares] == [25, 70, 5]


# --- samples together ------------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "image label")


def test_samples_are_put_together_part_by_part() -> None:
    samples = [
        Pair({"a": ROWS[k], "b": [1.5, True]}, (k, f"name {k}", np.float32(k), ag.tensor([1, 2]), np.array(3)))
        for k in range(3)
    ]
    batch = data.default_collate(samples)
    assert type(batch) is Pair
    np.testing.assert_array_equal(batch.image["a"], ROWS[:3])
    assert batch.image["b"][0].dtype == np.float64 and batch.image["b"][1].dtype == np.bool_
    k, names, floats, tensors, numbers = batch.label
    assert k.dtype == np.int64 and k.tolist() == [0, 1, 2] and names == ["name 0", "name 1", "name 2"]
    assert floats.dtype == np.float32 and tensors.shape == (3, 2) and numbers.shape == (3,)


def test_single_samples_are_converted() -> None:
    (first, *_) = DataLoader([{"a": ROWS[0], "b": "text"}] * 2, batch_size=None)
    assert isinstance(first["a"], ag.Tensor) and first["b"] == "text"


def test_a_function_of_the_user_puts_samples_together() -> None:
    assert list(DataLoader(range(5), 2, collate_fn=sum)) == [1, 5, 4]


ERRORS = [
    (lambda: TensorDataset(), ValueError, "at least one tensor"),
    (lambda: TensorDataset(ROWS, ROWS[1:]), ValueError, "as many rows each, but have 23, 22"),
    (lambda: TensorDataset(3.0), ValueError, "has no rows"),
    (lambda: data.Dataset()[0], TypeError, "Dataset without __getitem__"),
    (lambda: DataLoader(Counting(), 2, shuffle=True), ValueError, "has an order of its own"),
    (lambda: DataLoader(3), ValueError, "int has no __getitem__"),
    (lambda: DataLoader(ROWS, 0), ValueError, "batch_size must be a whole number from 1 on, got 0"),
    (lambda: DataLoader(ROWS, 2, shuffle=True, sampler=data.SequentialSampler(ROWS)), ValueError, "leave shuffle out"),
    (lambda: DataLoader(ROWS, 2, batch_sampler=Grouped()), ValueError, "leave them out"),
    (lambda: DataLoader(ROWS, 2, num_workers=-1), ValueError, "num_workers must be"),
    (lambda: DataLoader(ROWS, 2, prefetch_factor=2), ValueError, "only with num_workers"),
    (lambda: DataLoader(ROWS).load_state_dict({"seed": 1}), ValueError, "expected a state that state_dict gave"),
    (
        lambda: DataLoader(ROWS, generator=ag.Generator()).load_state_dict(DataLoader(ROWS).state_dict()),
        ValueError,
        "generators at \\[\\], this one has \\['generator'\\]",
    ),
    (
        lambda: list(DataLoader([ROWS[0], ROWS[0][:1]], 2)),
        ValueError,
        r"shape \(2,\) in the first .* \(1,\) in sample 1",
    ),
    (lambda: list(DataLoader([(1, object())], 1)), TypeError, r"a sample\[1\] is object"),
    (lambda: list(DataLoader([(1, 2), (1,)], 2)), ValueError, "2 parts in one place"),
    (lambda: data.random_split(ROWS, [3, 4]), ValueError, "sum to the 23 samples"),
    (lambda: data.RandomSampler(ROWS, num_samples=0), ValueError, "num_samples must be a whole number from 1 on"),
]


@pytest.mark.parametrize("call, kind, text", ERRORS)
def test_errors(call, kind, text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


# --- beside PyTorch --------------------------------------------------------------------------------------------------


def test_batches_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.utils.data
    plain = [({"a": ROWS[k].tolist(), "b": k}, str(k)) for k in range(23)]
    for kwargs in ({"batch_size": 4}, {"batch_size": 5, "drop_last": True}, {"batch_size": None}):
        for ours, reference in zip(DataLoader(plain, **kwargs), theirs.DataLoader(plain, **kwargs), strict=True):
            assert np.asarray(ours[0]["b"]).tolist() == np.asarray(reference[0]["b"]).tolist()
            assert [np.asarray(a).tolist() for a in ours[0]["a"]] == [np.asarray(a).tolist() for a in reference[0]["a"]]
            assert list(ours[1]) == list(reference[1])
