"""Recurrent layers: packed sequences as PyTorch packs them, second derivatives, and variations against plain loops."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core as ag
import nn
from autograd_core.gradcheck import gradcheck, gradgradcheck
from nn import functional as F
from nn.utils import rnn

RNG = np.random.default_rng(0)
LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def array(t):
    return t.detach().numpy()


def same(ours, theirs):
    """Whether two results consist of the same bits."""
    if ours is None or theirs is None:
        assert ours is None and theirs is None
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        [same(a, b) for a, b in zip(ours, theirs)]
    else:
        a, b = array(ours), array(theirs)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(array(a), array(b), rtol=tolerance, atol=tolerance)


def double(layer):
    """A layer in float64 whose biases and weights are all different from zero."""
    layer = layer.double()
    for p in layer.parameters():
        p.data = ag.tensor(RNG.uniform(-0.7, 0.7, tuple(p.shape)))
    return layer


def values(*shape):
    return ag.tensor(RNG.standard_normal(shape), requires_grad=True)


# --- packing and padding -----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    LENGTHS,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["float32", "float64", "int64"]),
    st.lists(st.integers(1, 3), max_size=2),
)
def test_packing_is_that_of_pytorch(lengths, batch_first, sort, dtype, behind):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    lengths = sorted(lengths, reverse=True) if sort else lengths
    lead = (len(lengths), 7) if batch_first else (7, len(lengths))
    x = RNG.integers(-9, 9, (*lead, *behind)).astype(dtype)
    ours, other = (
        m.pack_padded_sequence(v, n, batch_first, enforce_sorted=sort)
        for m, v, n in ((rnn, ag.tensor(x), lengths), (theirs, torch.tensor(x), torch.tensor(lengths)))
    )
    same(ours, other)
    for total, value, turned in ((None, 0.0, batch_first), (8, -2.0, not batch_first)):
        same(*(m.pad_packed_sequence(p, turned, value, total) for m, p in ((rnn, ours), (theirs, other))))
    same(rnn.unpack_sequence(ours), theirs.unpack_sequence(other))
    parts, others = rnn.unpack_sequence(ours), theirs.unpack_sequence(other)
    same(rnn.pack_sequence(parts, enforce_sorted=sort), theirs.pack_sequence(others, enforce_sorted=sort))
    for side in ("left", "right"):
        same(*(m.pad_sequence(p, batch_first, 3.0, side) for m, p in ((rnn, parts), (theirs, others))))
    padded = rnn.pad_sequence(parts, batch_first), theirs.pad_sequence(others, batch_first)
    same(padded[0], padded[1])
    same(
        rnn.unpad_sequence(padded[0], ag.tensor(lengths), batch_first),
        theirs.unpad_sequence(padded[1], torch.tensor(lengths), batch_first),
    )


def test_packing_prints_as_pytorch_does():
    torch = pytest.importorskip("torch")
    ours = rnn.pack_sequence([ag.tensor([4, 5]), ag.tensor([1, 2, 3])], enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_sequence([torch.tensor([4, 5]), torch.tensor([1, 2, 3])], enforce_sorted=False)
    assert repr(ours) == repr(theirs)


def test_padding_keeps_its_argument():
    padded = values(4, 2)
    before = tuple(padded.shape)
    rnn.unpad_sequence(padded, [4, 2])
    assert tuple(padded.shape) == before  # PyTorch turns it around in place


def test_gradients_go_through_packing_and_padding():
    a, b = values(3, 2), values(2, 2)

    def there_and_back(a, b):
        packed = rnn.pack_sequence([b, a], enforce_sorted=False)
        padded, _ = rnn.pad_packed_sequence(packed, total_length=4, padding_value=2.0)
        again = rnn.pack_padded_sequence(padded * padded, [2, 3], enforce_sorted=False)
        return rnn.pad_sequence(rnn.unpack_sequence(again)) * packed.data.sum()

    assert gradcheck(there_and_back, (a, b)) and gradgradcheck(there_and_back, (a, b))


def test_a_packed_sequence_can_be_converted_and_copied():
    packed = rnn.pack_sequence([values(2, 3).detach(), values(4, 3).detach()], enforce_sorted=False)
    assert packed.float().data.dtype == np.float32 and packed.half().data.dtype == np.float16
    assert packed.double() is packed and packed.long().data.dtype == np.int64 and packed.int().data.dtype == np.int32
    assert packed.to("float32").batch_sizes is packed.batch_sizes and not packed.is_cuda and packed.cpu() is packed
    for other in (
        copy.deepcopy(packed),
        pickle.loads(pickle.dumps(packed)),
        rnn.PackedSequence(packed[:2], None, packed[2]),
    ):
        assert isinstance(other, rnn.PackedSequence)
        same(other, packed)


ERRORS = [
    (lambda: rnn.pack_sequence([ag.ones(2), ag.ones(3)]), "enforce_sorted=False"),
    (lambda: rnn.pack_sequence([ag.ones(2), ag.ones(0)]), "every sequence needs one step"),
    (lambda: rnn.pack_sequence([]), "expected a list"),
    (lambda: rnn.pack_padded_sequence(ag.ones(5, 2), [5, 5, 5]), r"2 lengths are needed.*batch_first=True"),
    (lambda: rnn.pack_padded_sequence(ag.ones(5, 2), [6, 5]), "input has 5 steps, a length is 6"),
    (lambda: rnn.pack_padded_sequence(ag.ones(5), [5]), r"\(time, batch, ...\)"),
    (lambda: rnn.pack_padded_sequence(ag.ones(5, 2), [5.0, 2.0]), "whole numbers"),
    (lambda: rnn.pad_packed_sequence(ag.ones(3)), "expected a PackedSequence"),
    (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([ag.ones(3)]), total_length=2), "the longest sequence has 3"),
    (lambda: rnn.pad_sequence([ag.ones(3, 2), ag.ones(3, 1)]), "axes behind the first"),
    (lambda: rnn.pad_sequence([ag.ones(3)], padding_side="top"), "'right' or 'left'"),
    (lambda: rnn.unpad_sequence(ag.ones(3, 2), [3]), "2 lengths"),
    (lambda: rnn.PackedSequence(ag.ones(3)), "batch_sizes is missing"),
    (lambda: nn.LSTM(3, 4, 1, True, False, True), "dropout is a probability"),
    (lambda: nn.LSTM(3, 4, 1, 0.5), r"bias is True or False, got 0\.5"),
    (lambda: nn.LSTM(3, 4, proj_size=4), "proj_size must be less"),
    (lambda: nn.RNN(3, 4, 1, "sigmoid"), "'tanh' or 'relu'"),
    (lambda: nn.RNN(3, 4, 1, True), "best given by name"),
    (lambda: nn.GRU(0, 4), "input_size must be positive"),
    (lambda: nn.GRU(3.0, 4), "input_size must be a whole number"),
    (lambda: nn.RNNBase("lstm", 3, 4), "LSTM, GRU, RNN_TANH"),
    (
        lambda: nn.GRU(3, 4)(ag.ones(5, 2, 4)),
        r"GRU\(3, 4\): expected \(time, batch, inputs\).*3 inputs, got.*\(5, 2, 4\)",
    ),
    (lambda: nn.GRU(3, 4)(ag.ones(3)), "expected"),
    (lambda: nn.GRU(3, 4)([1.0, 2.0]), "got list"),
    (lambda: nn.GRU(3, 4)(ag.ones(5, 2, 3, dtype="float64")), r"input\.float\(\) or model\.double\(\)"),
    (lambda: nn.GRU(3, 4)(ag.ones(5, 2, 3), ag.ones(2, 4)), r"first state h must be \(1, 2, 4\)"),
    (lambda: nn.GRU(3, 4)(ag.ones(5, 3), ag.ones(1, 1, 4)), "without a batch axis"),
    (lambda: nn.LSTM(3, 4)(ag.ones(5, 2, 3), ag.ones(1, 2, 4)), r"pair \(h, c\)"),
    (lambda: nn.LSTM(3, 4)(ag.ones(5, 2, 3), (ag.ones(1, 2, 4), ag.ones(1, 2, 3))), "first state c must be"),
    (lambda: nn.LSTM(3, 4)(ag.ones(0, 2, 3)), "no steps"),
    (lambda: nn.LSTMCell(3, 4)(ag.ones(2, 3), ag.ones(2, 4)), r"pair \(h, c\)"),
    (lambda: nn.GRUCell(3, 4)(ag.ones(2, 3), ag.ones(3, 4)), r"the state h must be \(2, 4\)"),
    (lambda: nn.RNNCell(3, 4)(ag.ones(2, 2, 3)), "expected one step"),
    (lambda: nn.Recurrent(), "a cell or a pair of cells"),
    (lambda: nn.Recurrent(nn.Linear(3, 4)), "initial_state"),
    (lambda: nn.Recurrent(nn.GRUCell(3, 4), nn.GRUCell(4, 5)), "same sizes"),
    (lambda: nn.Recurrent(nn.GRUCell(3, 4))(ag.ones(5, 2, 3), ag.ones(2, 4)), r"must have the shapes \[\(1, 2, 4\)\]"),
    (lambda: nn.RecurrentDropout(nn.GRUCell(3, 4), 2), "RecurrentDropout: p is a probability from 0 to 1"),
    (lambda: nn.JordanRNN(3, 4, 2)(ag.ones(5, 2, 3), target=ag.ones(4, 2, 2)), "as many steps"),
    (lambda: nn.JordanRNN(3, 4, 2)(ag.ones(5, 2, 3), ag.ones(2, 2)), r"must be \(1, 2, 2\)"),
]


@pytest.mark.parametrize("call, text", ERRORS)
def test_errors_teach(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


# --- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, options", [
    (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    (nn.LSTM, {"proj_size": 1}),
    (nn.GRU, {"num_layers": 2}),
    (nn.GRU, {"bidirectional": True, "bias": False}),
    (nn.RNN, {"num_layers": 2, "bidirectional": True}),
])  # fmt: skip
def test_second_derivatives_of_layers(kind, options):
    layer = double(kind(2, 3, **options))
    x = values(3, 2, 2)

    def run(x, *weights):
        y, last = ag_call(layer, weights, x)
        return (y, *last) if isinstance(last, tuple) else (y, last)

    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert gradcheck(run, (x, *weights)) and gradgradcheck(run, (x, *weights), fast_mode=True)
    packed = lambda x: layer(rnn.pack_padded_sequence(x, [2, 3], enforce_sorted=False))[0].data
    assert gradgradcheck(packed, (x,))


def ag_call(layer, weights, *inputs):
    """A layer called with other tensors in the place of its parameters."""
    other = copy.deepcopy(layer)
    for (name, _), w in zip(layer.named_parameters(), weights):
        path, _, last = name.rpartition(".")
        module = other.get_submodule(path)
        vars(module)[last] = w
    return other(*inputs)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.PeepholeLSTMCell])
def test_second_derivatives_of_cells(kind):
    cell = double(kind(2, 3))
    paired = isinstance(cell.initial_state(1), tuple)
    states = [values(4, 3) for _ in range(1 + paired)]
    run = lambda x, *s: cell(x, s if paired else s[0])
    assert gradcheck(run, (values(4, 2), *states)) and gradgradcheck(run, (values(4, 2), *states))


def test_dropout_is_between_layers():
    ag.manual_seed(3)
    layer, x = nn.GRU(3, 4, 2, dropout=1.0), ag.ones(5, 2, 3)
    y, h = layer(x)
    zero = nn.GRU(4, 4)
    zero.load_state_dict({k.replace("l1", "l0"): v for k, v in layer.state_dict().items() if "l1" in k})
    same(y, zero(ag.zeros(5, 2, 4))[0])
    assert np.any(array(layer.eval()(x)[0]) != array(y))
    with pytest.warns(UserWarning, match="between layers, of which there is one"):
        nn.GRU(3, 4, dropout=0.5)
    half = nn.RNN(3, 400, 2, dropout=0.5)
    out, _ = half(x)
    again, _ = half(x)
    assert np.any(array(out) != array(again))


def test_weights_are_read_when_they_are_used():
    layer = double(nn.LSTM(3, 4))
    x = values(5, 2, 3)
    before = layer(x)[0]
    layer.weight_hh_l0 = nn.Parameter(ag.zeros(16, 4, dtype="float64"))
    assert np.any(array(layer(x)[0]) != array(before))
    assert [[p.shape for p in ps] for ps in layer.all_weights] == [[(16, 3), (16, 4), (16,), (16,)]]
    assert layer.all_weights[0][1] is layer.weight_hh_l0 and layer.flatten_parameters() is None
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        same(other(x), layer(x))
        assert other.weight_hh_l0 is not layer.weight_hh_l0


def test_layers_can_be_mapped_over_a_batch():
    layer = double(nn.GRU(3, 4, 2, bidirectional=True))
    x = values(6, 5, 2, 3)
    y, h = ag.vmap(layer)(x)
    for k in range(6):
        a, b = layer(x[k])
        close(y[k], a), close(h[k], b)


# --- cells over sequences ----------------------------------------------------------------------------------------------

FORMS = {
    "whole": lambda x: x,
    "alone": lambda x: x[:, 0],
    "packed": lambda x: rnn.pack_padded_sequence(x, [2, 5, 3], enforce_sorted=False),
}
CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}


def as_cells(layer, both, layers):
    """The cells with the weights of a layer."""
    made = []
    for n in range(layers):
        pair = []
        for suffix in ("", "_reverse")[: 1 + both]:
            weights = {k: vars(layer)[f"{k}_l{n}{suffix}"] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
            cell = CELLS[type(layer)](weights["weight_ih"].shape[1], 4).double()
            cell.load_state_dict(weights)
            pair.append(cell)
        made.append(pair)
    return made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_over_sequences_are_layers(kind, both, form):
    layer = double(kind(3, 4, 2, bidirectional=both))
    cells = nn.Recurrent(*as_cells(layer, both, 2))
    x = FORMS[form](values(5, 3, 3))
    y, last = layer(x)
    z, after = cells(x)
    for a, b in zip(*(ag.tree.flatten([p, q])[0] for p, q in ((y, last), (z, after)))):
        close(a, b)
    again, _ = layer(x, last)
    z, _ = cells(x, after)
    for a, b in zip(ag.tree.flatten(again)[0], ag.tree.flatten(z)[0]):
        close(a, b)


def test_batch_first_turns_axes():
    cell = double(nn.GRUCell(3, 4))
    x = values(5, 2, 3)
    y, h = nn.Recurrent(cell)(x)
    z, i = nn.Recurrent(cell, batch_first=True)(x.transpose(0, 1))
    close(y.transpose(0, 1), z), close(h, i)


# --- peepholes ---------------------------------------------------------------------------------------------------------


def peephole_loop(m, weights, x, h, c):
    """The equations, one step after the other, with the functions of a library."""
    w_ih, w_hh, *biases, w_ch = weights
    out = []
    for step in x:
        a = sum(biases, step @ w_ih.T + h @ w_hh.T)
        i, f, g, o = (a[:, k * 4 : (k + 1) * 4] for k in range(4))
        i, f = m.sigmoid(i + w_ch[0] * c), m.sigmoid(f + w_ch[1] * c)
        c = f * c + i * m.tanh(g)
        h = m.sigmoid(o + w_ch[2] * c) * m.tanh(c)
        out.append(h)
    return m.stack(out), h, c


def in_torch(torch, *tensors):
    return [torch.tensor(array(t), requires_grad=True) for t in tensors]


def same_gradients(y, ours, z, theirs):
    """Whether the gradients of random sums of two results agree."""
    seed = RNG.standard_normal(tuple(y.shape))
    (y * ag.tensor(seed)).sum().backward()
    (z * z.new_tensor(seed)).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        close(a.grad, b.grad, 1e-11)


@pytest.mark.parametrize("bias", [True, False])
def test_peepholes(bias):
    layer = double(nn.PeepholeLSTM(3, 4, bias=bias))
    x, h, c = values(5, 2, 3), values(1, 2, 4), values(1, 2, 4)
    y, (h1, c1) = layer(x, (h, c))
    for a, b in zip((y, h1[0], c1[0]), peephole_loop(ag, list(layer.parameters()), x, h[0], c[0])):
        close(a, b)
    names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * bias + ["weight_ch"]
    assert list(layer.state_dict()) == [f"layers.0.{n}" for n in names]
    run = lambda x, h, c, *w: ag_call(layer, w, x, (h, c))[0]
    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert gradcheck(run, (x, h, c, *weights)) and gradgradcheck(run, (x, h, c, *weights), fast_mode=True)


def test_gradients_of_peepholes_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    layer = double(nn.PeepholeLSTM(3, 4))
    ours = [values(5, 2, 3), *layer.parameters()]
    x, *weights = theirs = in_torch(torch, *ours)
    zero = torch.zeros(2, 4, dtype=torch.float64)
    z, _, _ = peephole_loop(torch, weights, x, zero, zero)
    y, _ = layer(ours[0])
    close(y, z)
    same_gradients(y, ours, z, theirs)


def test_without_peepholes_it_is_an_lstm():
    cell, plain = double(nn.PeepholeLSTMCell(3, 4)), nn.LSTMCell(3, 4).double()
    plain.load_state_dict({k: v for k, v in cell.state_dict().items() if k != "weight_ch"})
    x, state = values(2, 3), (values(2, 4), values(2, 4))
    cell.weight_ch.data = ag.zeros(3, 4, dtype="float64")
    for a, b in zip(cell(x, state), plain(x, state)):
        close(a, b)
    bound = max(float(p.abs().max()) for p in nn.PeepholeLSTMCell(50, 100).parameters())
    assert 0.099 < bound < 0.1


def test_functions_of_the_gates_may_be_others():
    cell = double(nn.PeepholeLSTMCell(3, 4, gate=F.hardsigmoid, candidate=F.relu, output=lambda c: c))
    h, c = cell(values(2, 3))
    assert h.shape == c.shape == (2, 4) and np.all(array(c) >= 0)


def test_layers_of_peepholes_with_the_arguments_of_lstm():
    layer = nn.PeepholeLSTM(3, 4, 2, batch_first=True, dropout=0.5, bidirectional=True).eval()
    y, (h, c) = layer(ag.ones(2, 5, 3))
    assert y.shape == (2, 5, 8) and h.shape == c.shape == (4, 2, 4)
    assert layer.layers[1][1].weight_ih.shape == (16, 8)


# --- dropout that keeps its mask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CELLS.values())
def test_recurrent_dropout_drops_the_same_at_all_steps(kind):
    cell, x = double(kind(3, 4)), values(6, 2, 3)
    layer = nn.Recurrent(nn.RecurrentDropout(cell, 0.4))
    ag.manual_seed(5)
    y, _ = layer(x)
    ag.manual_seed(5)
    mask = F.dropout(ag.ones(2, 4, dtype="float64"), 0.4)
    assert np.any(array(mask) == 0)
    state, paired = cell.initial_state(2), kind is nn.LSTMCell
    for t in range(6):
        state = cell(x[t], (state[0] * mask, state[1]) if paired else state * mask)
        close(y[t], state[0] if paired else state)
    same(layer.eval()(x), nn.Recurrent(cell)(x))


def test_recurrent_dropout_may_draw_anew_at_each_step():
    cell, x = double(nn.GRUCell(3, 4)), values(6, 2, 3)
    ag.manual_seed(5)
    y, _ = nn.Recurrent(nn.RecurrentDropout(cell, 0.4, variational=False))(x)
    ag.manual_seed(5)
    h = cell.initial_state(2)
    for t in range(6):
        h = cell(x[t], F.dropout(h, 0.4))
        close(y[t], h)


def test_recurrent_dropout_of_packed_sequences():
    cell = double(nn.GRUCell(3, 4))
    layer, x = nn.Recurrent((nn.RecurrentDropout(cell, 0.4), nn.RecurrentDropout(cell, 0.4))), values(5, 3, 3)
    ag.manual_seed(5)
    y, _ = rnn.pad_packed_sequence(layer(rnn.pack_padded_sequence(x, [5, 4, 2]))[0])
    ag.manual_seed(5)
    masks = [F.dropout(ag.ones(3, 4, dtype="float64"), 0.4) for _ in range(2)]
    for b, length in enumerate([5, 4, 2]):
        for k, times in enumerate((range(length), reversed(range(length)))):
            h = cell.initial_state(1)
            for t in times:
                h = cell(x[t, b : b + 1], h * masks[k][b : b + 1])
                close(y[t, b, 4 * k : 4 * k + 4], h[0])


def test_variational_dropout_drops_the_same_at_all_steps():
    ag.manual_seed(2)
    dropout, x = nn.VariationalDropout(0.5), ag.ones(7, 20, 30)
    y = array(dropout(x))
    assert set(np.unique(y)) == {0.0, 2.0} and np.all(y == y[:1]) and 0.4 < np.mean(y[0] == 0) < 0.6
    turned = array(nn.VariationalDropout(0.5, batch_first=True)(x))
    assert np.all(turned == turned[:, :1]) and np.any(turned != turned[:1])
    alone = array(dropout(ag.ones(7, 30)))
    assert np.all(alone == alone[:1]) and np.any(alone != alone[:, :1])
    assert dropout.eval()(x) is x and nn.VariationalDropout(0.0)(x) is x
    ag.manual_seed(2)
    y = dropout.train()(ag.ones(4, 3, 30))
    ag.manual_seed(2)
    packed = dropout(rnn.pack_padded_sequence(ag.ones(4, 3, 30), [4, 3, 1]))
    same(packed.data, rnn.pack_padded_sequence(y, [4, 3, 1]).data)
    assert repr(dropout) == "VariationalDropout(p=0.5)"


def test_variational_dropout_between_layers():
    cells = [double(nn.GRUCell(3, 4)), double(nn.GRUCell(4, 4))]
    x = values(6, 2, 3)
    ag.manual_seed(1)
    y, _ = nn.Recurrent(*cells, dropout=nn.VariationalDropout(0.5))(x)
    ag.manual_seed(1)
    between = nn.Recurrent(cells[0])(x)[0] * F.dropout(ag.ones(1, 2, 4, dtype="float64"), 0.5)
    close(y, nn.Recurrent(cells[1])(between)[0])


# --- a learned beginning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [
    lambda: nn.LSTM(3, 4, 2, bidirectional=True),
    lambda: nn.GRU(3, 4),
    lambda: nn.PeepholeLSTM(3, 4, 2),
    lambda: nn.Recurrent(nn.RecurrentDropout(nn.GRUCell(3, 4), 0.0)),
    lambda: nn.JordanRNN(3, 5, 2),
])  # fmt: skip
def test_a_learned_first_state(make, form):
    layer = double(nn.LearnableInitialState(make()))
    x = FORMS[form](values(5, 3, 3))
    names = [n for n, _ in layer.named_parameters() if "." not in n]
    first = [vars(layer)[n] for n in names]
    given = first if form == "alone" else [p.unsqueeze(1).expand(p.shape[0], 3, p.shape[1]) for p in first]
    y, _ = layer(x)
    z, _ = layer.layer(x, tuple(given) if len(given) > 1 else given[0])
    data = lambda y: y.data if isinstance(y, rnn.PackedSequence) else y
    same(data(y), data(z))
    data(y).sum().backward()
    assert all(np.any(array(p.grad) != 0) for p in first) and names == ["h0", "c0"][: len(names)]
    other = layer(x, tuple(p * 0 for p in given) if len(given) > 1 else given[0] * 0)[0]
    assert np.any(array(data(other)) != array(data(y)))


def test_a_learned_first_state_of_a_cell():
    cell = nn.LearnableInitialState(nn.LSTMCell(3, 4))
    assert [tuple(p.shape) for p in (cell.h0, cell.c0)] == [(4,), (4,)] and not array(cell.h0).any()
    assert cell(ag.ones(3))[0].shape == (4,) and cell(ag.ones(5, 3))[1].shape == (5, 4)
    layer = double(nn.Recurrent(nn.LearnableInitialState(nn.GRUCell(3, 4))))
    run = lambda x, *w: ag_call(layer, w, x)[0]
    assert gradcheck(run, (values(4, 2, 3), *(p.detach().clone().requires_grad_() for p in layer.parameters())))


# --- recurrence from the output ----------------------------------------------------------------------------------------


def jordan_loop(m, layer, weights, x, y, target=None, coins=None):
    """The equations, one step after the other: each sees its own output before it, or the true one."""
    u, b, w, v, c = weights
    out = []
    for t in range(len(x)):
        seen = y if layer.feedback is None or not t else layer.feedback(y)
        if t and target is not None:
            seen = target[t - 1] if coins is None else m.where(coins[t - 1], target[t - 1], seen)
        h = m.tanh(x[t] @ u.T + b + seen @ w.T)
        y = h @ v.T + c
        out.append(y)
    return m.stack(out)


@pytest.mark.parametrize("feedback", [None, lambda y: ag.softmax(y, -1)])
def test_recurrence_from_the_output(feedback):
    layer = double(nn.JordanRNN(3, 5, 2, feedback=feedback))
    x, target, first = values(6, 4, 3), values(6, 4, 2), values(1, 4, 2)
    loop = lambda *given: jordan_loop(ag, layer, list(layer.parameters()), x, *given)
    close(layer(x, first)[0], loop(first[0]))
    close(layer(x, first, target)[0], loop(first[0], target))
    layer.teacher_forcing = 0.5
    ag.manual_seed(4)
    y, _ = layer(x, target=target)
    ag.manual_seed(4)
    coins = [ag.rand(4, 1) < 0.5 for _ in range(5)]
    close(y, loop(ag.zeros(4, 2, dtype="float64"), target, coins))
    layer.teacher_forcing = 0.0
    same(layer(x, first, target), layer(x, first))
    layer.teacher_forcing = 1.0
    same(layer.eval()(x, first, target), layer(x, first))  # in evaluation nobody teaches


@pytest.mark.parametrize("forced", [True, False])
def test_gradients_of_recurrence_from_the_output_are_those_of_pytorch(forced):
    torch = pytest.importorskip("torch")
    layer = double(nn.JordanRNN(3, 5, 2))
    ours = [values(6, 4, 3), values(1, 4, 2), values(6, 4, 2), *layer.parameters()]
    x, first, target, *weights = in_torch(torch, *ours)
    y, _ = layer(ours[0], ours[1], ours[2] if forced else None)
    z = jordan_loop(torch, layer, weights, x, first[0], target if forced else None)
    close(y, z)
    same_gradients(y, [*ours[:2], *ours[3:]], z, [x, first, *weights])


@pytest.mark.parametrize("forcing", [1.0, 0.3, None])
def test_derivatives_of_recurrence_from_the_output(forcing):
    layer = double(nn.JordanRNN(2, 3, 2, teacher_forcing=1.0 if forcing is None else forcing))
    target = None if forcing is None else values(4, 2, 2)

    def run(x, first, *weights):
        ag.manual_seed(6)
        y, last = ag_call(layer, weights, x, first, target)
        return y, last

    inputs = values(4, 2, 2), values(1, 2, 2), *(p.detach().clone().requires_grad_() for p in layer.parameters())
    assert gradcheck(run, inputs) and gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("forced", [True, False])
def test_recurrence_from_the_output_in_all_forms(forced):
    layer, turned = double(nn.JordanRNN(3, 5, 2)), nn.JordanRNN(3, 5, 2, batch_first=True).double()
    turned.load_state_dict(layer.state_dict())
    x, target = values(5, 3, 3), values(5, 3, 2)
    given = lambda form: {"target": form(target)} if forced else {}
    y, last = layer(x, **given(lambda t: t))
    z, after = turned(x.transpose(0, 1), **given(lambda t: t.transpose(0, 1)))
    close(y.transpose(0, 1), z), close(last, after), close(last[0], y[-1])
    packed, ends = layer(FORMS["packed"](x), **given(FORMS["packed"]))
    padded, _ = rnn.pad_packed_sequence(packed)
    for b, length in enumerate([2, 5, 3]):
        one, end = layer(x[:length, b], **({"target": target[:length, b]} if forced else {}))
        close(padded[:length, b], one), close(ends[:, b], end)
        close(one, y[:length, b])


def test_a_jordan_network_learns_to_count_from_its_own_output():
    ag.manual_seed(0)
    layer, target = nn.JordanRNN(1, 8, 3), F.one_hot(ag.arange(9) % 3).float()
    layer.feedback = lambda y: ag.softmax(y, -1)
    x, first = ag.zeros(9, 1), target[-1:]
    for _ in range(300):
        layer.zero_grad()
        y, _ = layer(x, first, target)
        F.cross_entropy(y, ag.arange(9) % 3).backward()
        with ag.no_grad():
            for p in layer.parameters():
                p.sub_(p.grad * 0.5)
    y, _ = layer.eval()(x, first)
    assert array(y.argmax(-1)).tolist() == [0, 1, 2] * 3
