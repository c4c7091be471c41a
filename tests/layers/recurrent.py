"""Lines for nn/recurrent.py."""

import importlib

from . import case

SIZED = {"RNN": 1, "LSTM": 2, "GRU": 1}
GRID = [
    {},
    {"num_layers": 3},
    {"bidirectional": True},
    {"bias": False, "num_layers": 2},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]
MORE = {
    "RNN": [{"nonlinearity": "relu"}, {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True, "bias": False}],
    "LSTM": [
        {"proj_size": 2},
        {"proj_size": 3, "num_layers": 2, "bidirectional": True},
        {"proj_size": 1, "bias": False, "batch_first": True},
    ],
    "GRU": [],
}


def states(name, options, *batch):
    """Of a Draw: first states, as the layer takes them."""
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    sizes = [options.get("proj_size", 4), 4][: SIZED[name]]
    return lambda draw: [tuple(draw(count, *batch, n) for n in sizes)] if len(sizes) > 1 else [draw(count, *batch, 4)]


def packed(*lengths):
    """How to call a layer on a padded batch, as sequences of these lengths in any order."""

    def call(layer, x, *hx):
        home = "torch.nn" if type(layer).__module__.startswith("torch") else "nn"
        rnn = importlib.import_module(f"{home}.utils.rnn")
        sequences = rnn.pack_padded_sequence(x, list(lengths), enforce_sorted=lengths == tuple(sorted(lengths)[::-1]))
        return layer(sequences, *hx)

    return {"call": call}


def lines(name, options):
    """Whole sequences, packed ones, one alone; with given and default states."""
    size = lambda *shape: shape[:2][::-1] + shape[2:] if options.get("batch_first") else shape
    hx, alone = states(name, options, 3), states(name, options)
    make = lambda inputs, **settings: case(name, 3, 4, inputs=inputs, settings=settings, **options)
    yield make(lambda draw: [draw(*size(5, 3, 3))])
    yield make(lambda draw: [draw(*size(2, 3, 3)), *hx(draw)])
    yield make(lambda draw: [draw(5, 3)])
    yield make(lambda draw: [draw(1, 3), *alone(draw)])
    yield make(lambda draw: [draw(5, 3, 3)], **packed(5, 3, 2))
    yield make(lambda draw: [draw(5, 3, 3), *hx(draw)], **packed(1, 4, 4))


CELLS = {"RNNCell": ({}, {"bias": False}, {"nonlinearity": "relu"}), "LSTMCell": ({}, {"bias": False})}
CELLS["GRUCell"] = CELLS["LSTMCell"]


def cell_lines(name, options):
    pair = lambda *states: states if name == "LSTMCell" else states[0]
    yield case(name, 3, 4, **options, inputs=lambda draw: [draw(5, 3)])
    yield case(name, 3, 4, **options, inputs=lambda draw: [draw(5, 3), pair(draw(5, 4), draw(5, 4))])
    yield case(name, 3, 4, **options, inputs=lambda draw: [draw(3)])
    yield case(name, 3, 4, **options, inputs=lambda draw: [draw(3), pair(draw(4), draw(4))])


CASES = [
    *(line for name in SIZED for options in GRID + MORE[name] for line in lines(name, options)),
    *(line for name, grid in CELLS.items() for options in grid for line in cell_lines(name, options)),
    case("RNN", 3, 4, 2, "relu", True, True, inputs=lambda draw: [draw(2, 5, 3)]),
    case("LSTM", 3, 4, 2, False, True, 0.5, settings={"modes": ("eval",)}, inputs=lambda draw: [draw(2, 5, 3)]),
    case("GRU", 17, 40, dropout=0.2, num_layers=2, settings={"modes": ("eval",)}, inputs=lambda draw: [draw(4, 9, 17)]),
    case("RNNBase", "LSTM", 3, 4, 2, inputs=lambda draw: [], settings={"call": lambda layer: []}),
    case(
        "RNNBase",
        "GRU",
        3,
        4,
        dropout=0.0,
        bidirectional=True,
        inputs=lambda draw: [],
        settings={"call": lambda layer: []},
    ),
    case("RNNCellBase", 3, 4, True, 2, inputs=lambda draw: [], settings={"call": lambda layer: []}),
]
