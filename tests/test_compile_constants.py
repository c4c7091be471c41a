"""What a compiled function makes of data and then changes in place: each replay begins with the data again."""

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core import compile

MAKERS = {
    "tensor": lambda x: ag.tensor([1.0, 2.0]),
    "tensor of an array": lambda x: ag.tensor(np.array([1, 2], np.float32)),
    "tensor in another type": lambda x: ag.tensor(np.array([1, 2]), dtype=ag.float32),
    "Tensor": lambda x: ag.Tensor([1.0, 2.0]),
    "FloatTensor": lambda x: ag.FloatTensor([1.0, 2.0]),
    "Parameter": lambda x: nn.Parameter([1.0, 2.0]).detach(),
    "as_tensor of a list": lambda x: ag.as_tensor([1.0, 2.0]),
    "as_tensor of an array": lambda x: ag.as_tensor(np.array([1, 2], np.float32)),
    "asarray": lambda x: ag.asarray([1.0, 2.0]),
    "from_numpy": lambda x: ag.from_numpy(np.array([1, 2], np.float32)),
    "from_numpy of a part": lambda x: ag.from_numpy(np.array([0, 1, 2], np.float32)[1:]),
    "new_tensor": lambda x: x.new_tensor([1.0, 2.0]),
    "detach": lambda x: ag.tensor([1.0, 2.0]).detach(),
    "large": lambda x: ag.tensor(np.arange(1, (1 << 19) + 1, dtype=np.float32))[:2],
    "in another order": lambda x: ag.tensor(np.arange(1, 7, dtype=np.float32).reshape(3, 2).T)[0, :2],
    "data": lambda x: renewed(ag.zeros(2)),
    "zeros": lambda x: ag.zeros(2),
    "clone": lambda x: ag.tensor([1.0, 2.0]).clone(),
}


def renewed(w):
    w.data = [1.0, 2.0]
    return w


def added(w, x):
    w += x


def added_to_a_part(w, x):
    w[0] += 1


def assigned(w, x):
    first = w[0].clone()
    w[0] = w[1] * x[0]
    w[1] = first


def without_gradients(w, x):
    with ag.no_grad():
        w.mul_(2)


CHANGES = {
    "+=": added,
    "a part": added_to_a_part,
    "assigned": assigned,
    "no_grad": without_gradients,
    "mul_": lambda w, x: w.mul_(2),
    "neg_": lambda w, x: w.neg_(),
    "add_ itself": lambda w, x: w.add_(w),
    "unbind": lambda w, x: w.unbind()[0].mul_(2),
    "reshape": lambda w, x: w.reshape(2, 1).add_(1),
    "index_add_": lambda w, x: w.index_add_(0, ag.tensor([0]), x[:1]),
}


def agrees(f, count=7):
    """A compiled function gives what the function does, on other numbers each time, and is replayed."""
    run = compile(f)
    for k in range(count):
        x = ag.tensor([1.0, 1.0 + k])
        assert run(x).tolist() == f(x).tolist(), k
    assert run.cache_info().replays >= count - 3


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("make", MAKERS)
def test_what_is_made_of_data_and_changed_is_made_anew(make, change):
    def f(x):
        w = MAKERS[make](x)
        CHANGES[change](w, x)
        return w * x

    agrees(f)


def test_a_total_that_begins_with_a_number():
    def f(x):
        total = ag.tensor(0.0)
        for i in range(3):
            total += (x * i).sum()
        return total

    agrees(f)


def test_a_descent_inside():
    def f(x):
        w = ag.tensor([1.0, 2.0], requires_grad=True)
        for _ in range(3):
            ((w * x) ** 2).sum().backward()
            with ag.no_grad():
                w -= 0.01 * w.grad
                w.grad.zero_()
        return w.detach()

    agrees(f)


def test_each_result_is_new():
    run = compile(lambda x: (ag.tensor([1.0, 2.0]), x * 2)[0])
    for _ in range(5):
        y = run(ag.ones(2))
        assert y.tolist() == [1, 2]
        y.mul_(3)


def test_it_begins_with_what_it_was_where_it_was_made():
    def f(x):
        array = np.zeros(2, np.float32)
        array[0] = 1
        w = ag.from_numpy(array)
        y = x.clone().add_(w)
        w.add_(x)
        return y * ag.from_numpy(array)

    agrees(f)


def test_numpy_may_go_on_with_an_array():
    def f(x):
        array = np.zeros(2, np.float32)
        w = ag.from_numpy(array)
        array[:] = 1, 2
        return w * x

    agrees(f)


def test_arrays_of_which_only_the_shape_counts():
    outside = np.zeros(2, np.float32)
    agrees(lambda x: x * len(ag.from_numpy(outside)) * len(ag.as_tensor(np.zeros(3))))


def test_a_tensor_of_a_tensor_is_no_constant():
    agrees(lambda x: ag.Tensor(x) * 2)


def test_what_was_there_before_stays():
    total, other = ag.zeros(2), ag.tensor([1.0, 2.0])

    def f(x):
        other.add_(total.add_(x))
        return total * other

    run, sums, sum_of_sums = compile(f), 0, np.array([1, 2])
    for k in range(6):
        sums += 1 + k
        sum_of_sums = sum_of_sums + sums
        assert run(ag.ones(2) + k).tolist() == (sums * sum_of_sums).tolist()
    assert total.tolist() == [21, 21] and run.cache_info().replays == 4


def test_an_array_from_outside_that_another_takes_the_place_of():
    class Place:
        array = np.zeros(2, np.float32)

    run = compile(lambda x: x * ag.from_numpy(Place.array))
    for k in range(9):
        if k in (1, 5):
            Place.array = np.full(2, k, np.float32)
        if k == 7:
            Place.array[:] = 9
        assert run(ag.ones(2)).tolist() == Place.array.tolist()
