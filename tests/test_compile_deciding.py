"""Values that decide what is computed, as lengths and masks do: calls are told apart by them, and each is right."""

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from autograd_core import CaptureError
from nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

RNG = np.random.default_rng(0)


def draw(*shape):
    return ag.tensor(RNG.standard_normal(shape).astype(np.float32))


def close(found, expected):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=2e-5, atol=2e-6)


def causal(n):
    return ag.tensor(np.triu(np.full((n, n), -np.inf, np.float32), 1))


def test_masks_of_attention_by_what_is_in_them():
    ag.manual_seed(0)
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2)
    run = ag.compile(lambda x, mask: layer(x, mask=mask))
    x, window = draw(2, 6, 8), causal(6)
    window[:, 0] = 0.5
    for mask in (causal(6), window, causal(6), window):
        for _ in range(3):
            close(run(x, mask), layer(x, mask=mask))
    assert run.cache_info().replays >= 6 and run.cache_info().size == 2


def test_a_mask_from_outside_that_is_changed_in_place():
    layer, mask = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), 1), causal(6)
    run, x = ag.compile(lambda x: layer(x, mask=mask)), draw(6, 2, 8)
    for _ in range(4):
        close(run(x), layer(x, mask=mask))
    assert run.cache_info().replays == 1
    mask.numpy()[0, 3] = 1.0
    for _ in range(4):
        close(run(x), layer(x, mask=mask))
    assert run.cache_info().replays == 2


def lengths_in(run_as):
    """A recurrent step over sequences of lengths that are given, in one of several ways."""
    lstm = nn.LSTM(3, 4, batch_first=True)

    def step(x, lengths):
        packed = pack_padded_sequence(x, run_as(lengths), batch_first=True, enforce_sorted=False)
        y, (h, _) = lstm(packed)
        return pad_packed_sequence(y, batch_first=True)[0], h

    return step


@pytest.mark.parametrize("how", [lambda n: n, lambda n: n + 0, lambda n: n.clamp(max=4)])
def test_lengths_of_sequences(how):
    step = lengths_in(how)
    run = ag.compile(step)
    for lengths in ([5, 3, 2], [4, 4, 4], [5, 3, 2], [1, 2, 3]):
        for _ in range(4):
            x, n = draw(3, 5, 3), ag.tensor(lengths)
            for a, b in zip(run(x, n), step(x, n), strict=True):
                close(a, b)
    assert run.cache_info().replays >= 6


def test_a_packed_sequence_as_an_argument():
    gru = nn.GRU(3, 4)
    run = ag.compile(lambda p: gru(p)[1])
    for lengths in ([5, 3, 2], [4, 4, 1], [5, 3, 2]):
        for _ in range(4):
            packed = pack_padded_sequence(draw(5, 3, 3), lengths)
            assert isinstance(packed, PackedSequence)
            close(run(packed), gru(packed)[1])
    assert run.cache_info().replays >= 4


def test_what_is_other_values_each_time_runs_as_it_is_and_says_so():
    bag = nn.EmbeddingBag(20, 3)
    run = ag.compile(lambda words, starts: bag(words, starts), cache_size=2)
    with pytest.warns(RuntimeWarning, match="was watched 8 times, and no run was like one before"):
        for k in range(12):
            words, starts = ag.tensor(RNG.integers(0, 20, 9)), ag.tensor([0, k % 9, 9])
            close(run(words, starts), bag(words, starts))
    assert run.cache_info()[:3] == (0, 8, 4)
    run.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            close(run(words, starts), bag(words, starts))
    assert run.cache_info().replays == 2


def test_training_by_connectionist_temporal_classification():
    ag.manual_seed(0)
    one, two = nn.Linear(5, 7), nn.Linear(5, 7)
    two.load_state_dict(one.state_dict())

    def trained(net):
        loss_of, optimizer = nn.CTCLoss(), optim.SGD(net.parameters(), lr=0.05)

        def step(x, labels, times, lengths):
            optimizer.zero_grad()
            loss = loss_of(ag.log_softmax(net(x), -1), labels, times, lengths)
            loss.backward()
            optimizer.step()
            return loss

        return step

    labels = ag.tensor(RNG.integers(1, 7, (3, 4)))
    eager, compiled = trained(one), ag.compile(trained(two))
    for lengths in ([4, 3, 2], [2, 2, 4]):
        for _ in range(5):
            given = draw(12, 3, 5), labels, (12, 11, 10), ag.tensor(lengths)
            close(compiled(*given), eager(*given))
    assert compiled.cache_info().replays == 6
    close(two.weight, one.weight)


def test_what_the_run_itself_changes_cannot_decide():
    bag, starts = nn.EmbeddingBag(20, 3), ag.tensor([0, 3])

    def step(words):
        y = bag(words, starts)
        starts.add_(0)
        return y

    with pytest.raises(CaptureError, match="a value that decides what is computed is changed by the run"):
        ag.compile(step)(ag.tensor(RNG.integers(0, 20, 9)))

    def before(words):
        starts.add_(0)
        return bag(words, starts)

    with pytest.raises(CaptureError, match="a value leaves the tensors"):
        ag.compile(before)(ag.tensor(RNG.integers(0, 20, 9)))

    drawn = ag.compile(lambda words: bag(words, ag.cat((ag.zeros(1, dtype=ag.int64), ag.randint(1, 9, (1,))))))
    with pytest.raises(CaptureError, match="a value leaves the tensors"):
        drawn(ag.tensor(RNG.integers(0, 20, 9)))


@pytest.mark.parametrize("text", [str, repr, lambda y: f"{y}", lambda y: f"{y:.3f}"])
def test_text_of_a_tensor_is_a_value_that_leaves(text):
    """A replay would go by the digits of the first run."""

    def step(x):
        return x * 2 if "3" in text(x.sum()) else x

    with pytest.raises(CaptureError, match="a value leaves the tensors .*, text, .* print the tensor outside"):
        ag.compile(step)(ag.ones(3))
    as_it_is = ag.compile(step, fallback=True)
    for k in (0.0, 1.0, 2.0, 1.0, 1.0, 2.0):
        close(as_it_is(ag.full((3,), k)), step(ag.full((3,), k)))


def test_gradients_that_flow_out_by_what_was_decided():
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 1)
    run = ag.compile(lambda x, mask: layer(x, mask=mask))
    window = causal(6)
    window[2, 1] = 0.25
    for mask in (causal(6), window, causal(6)):
        for _ in range(4):
            x = draw(2, 6, 8).requires_grad_()
            slopes = [ag.gradient((f(x, mask) ** 2).sum(), [x])[0] for f in (run, lambda x, m: layer(x, mask=m))]
            close(*slopes)
    assert run.cache_info().replays >= 4


def test_how_many_classes_there_are():
    run = ag.compile(lambda x: nn.functional.one_hot(x).float() * 2)
    for classes in ([0, 2, 1], [0, 1, 1], [0, 4, 1], [0, 2, 1]):
        for _ in range(3):
            x = ag.tensor(classes)
            close(run(x), nn.functional.one_hot(x).float() * 2)
    assert run.cache_info().replays >= 4


def copied(x):
    return copy.deepcopy(x) * 2


def test_refusals_name_the_line_of_the_user_not_of_the_standard_library():
    with pytest.raises(CaptureError, match=f", at {__file__}:{copied.__code__.co_firstlineno + 1} in copied;"):
        ag.compile(copied)(ag.ones(3))


def test_refusals_name_a_line_of_the_standard_library_if_there_is_no_other():
    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(ag.compile(copy.deepcopy), ag.ones(3)).exception()
    assert isinstance(error, CaptureError)
    assert f", at {copy.__file__}:" in str(error)
