"""Lines for nn/dropout.py: with nothing drawn.  What is drawn in training: tests/test_layers.py."""

from . import case

INPUTS = {
    "Dropout": [(), (3,), (2, 3, 4)],
    "Dropout1d": [(3, 4), (2, 3, 4)],
    "Dropout2d": [(2, 3, 4, 2)],
    "Dropout3d": [(3, 2, 4, 2), (2, 3, 4, 2, 2)],
    "AlphaDropout": [(3,), (2, 3, 4)],
    "FeatureAlphaDropout": [(2, 3), (2, 3, 4, 2)],
}


def entries(shape):
    """Inputs of a shape."""
    return lambda draw: [draw(1, *shape)[0] if shape else draw(1).reshape(())]


# What is given is no leaf, so that it may be changed in place.
EVAL = {"modes": ("eval",), "call": lambda layer, x: layer(x * 1)}

CASES = [
    *(
        case(name, *args, inputs=entries(shape), settings=EVAL, **options)
        for name, shapes in INPUTS.items()
        for args in ((), (0.2,), (1.0,))
        for options in ({}, {"inplace": True})
        for shape in shapes
    ),
    *(case(name, 0.0, inputs=entries(shape)) for name, shapes in INPUTS.items() for shape in shapes),
    *(case(f"Dropout{d}", 1.0, inputs=entries(INPUTS[f"Dropout{d}"][-1])) for d in ("", "1d", "2d", "3d")),
]
