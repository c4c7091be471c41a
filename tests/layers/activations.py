"""Lines for nn/activations.py."""

import numpy as np

from . import case

PLAIN = "Sigmoid Tanh LogSigmoid Softsign Tanhshrink".split()
OVERWRITING = "ReLU SiLU Mish SELU Hardsigmoid Hardswish ReLU6".split()
OPTIONS = {
    "ELU": [(), (0.5,), (2.0,)],
    "CELU": [(), (0.5,), (2.0,)],
    "LeakyReLU": [(), (0.2,)],
    "Hardtanh": [(), (-0.5, 1.5)],
    "Threshold": [(0.3, -2.0), (-0.5, 1)],
}
MORE = {
    "GELU": [{}, {"approximate": "tanh"}],
    "Softplus": [{}, {"beta": 2.5}, {"beta": 2, "threshold": 1.5}],
    "Hardshrink": [{}, {"lambd": 0.2}],
    "Softshrink": [{}, {"lambd": 1.0}],
    "PReLU": [{}, {"init": 0.1}],
}
SHAPES = [(), (7,), (2, 3), (2, 3, 4, 2)]


def entries(shape):
    """Numbers around zero of a shape."""
    return lambda draw: [np.asarray(draw(*shape) * 2)]


def overwritten(layer, x):
    """A call that may write into what it is given, which is then looked at."""
    given = x * 1
    return layer(given), given


OVER = {"call": overwritten}
ROUGH = {"Hardsigmoid": {"tolerance": 400}}  # PyTorch's slope is the float32 nearest to 1 / 6

CASES = [
    *(case(name, inputs=entries(s), settings=ROUGH.get(name, {})) for name in (*PLAIN, *OVERWRITING) for s in SHAPES),
    *(case(n, inplace=True, inputs=entries((3, 4)), settings=OVER | ROUGH.get(n, {})) for n in OVERWRITING),
    *(
        case(name, *args, inputs=entries(shape))
        for name, choices in OPTIONS.items()
        for args in choices
        for shape in ((2, 3), (2, 3, 4, 2))
    ),
    *(
        case(name, *args, inplace=True, inputs=entries((3, 4)), settings=OVER)
        for name, choices in OPTIONS.items()
        for args in choices
    ),
    *(
        case(name, inputs=entries(shape), **options)
        for name, choices in MORE.items()
        for options in choices
        for shape in ((), (2, 3), (2, 3, 4, 2))
        if shape or name != "PReLU"
    ),
    case("Hardtanh", min_value=-0.2, max_value=0.9, inputs=entries((2, 3))),
    case("PReLU", 3, inputs=entries((2, 3, 4))),
    case("PReLU", 3, 0.4, inputs=entries((4, 3))),
    # In training its slopes are drawn: tests/test_layers.py.
    *(
        case("RReLU", *args, inputs=entries((2, 3)), settings={"modes": ("eval",)}, **options)
        for args in ((), (0.1, 0.9))
        for options in ({}, {"inplace": False})
    ),
    case("RReLU", 0.3, inplace=True, inputs=entries((3, 4)), settings={**OVER, "modes": ("eval",)}),
    *(case("GLU", *args, inputs=entries((2, 4, 6))) for args in ((), (1,), (-3,))),
    *(
        case(name, dim, inputs=entries(shape))
        for name in ("Softmax", "Softmin", "LogSoftmax")
        for dim, shape in ((0, (3,)), (1, (2, 3)), (-1, (2, 3, 4)), (0, (2, 3)), (-2, (2, 3, 4)))
    ),
    *(case("Softmax2d", inputs=entries(shape)) for shape in ((2, 3, 4, 2), (3, 4, 2))),
]
