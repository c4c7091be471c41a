"""Lines for nn/losses.py."""

import numpy as np

from . import case, fixed

REDUCTIONS = ("mean", "sum", "none")
OLD = ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True})  # as reductions were said
SHAPES = ((4, 3), (5,), (2, 3, 2), ())
W = np.array([0.5, 2.0, 1.0], np.float32)
ROWS = np.linspace(0.2, 2, 12, dtype=np.float32).reshape(4, 3)
POOR = {"tolerance": 10}  # logarithms near zero


def pairs(name, targets=lambda draw, s: draw(*s), inputs=lambda draw, s: draw(*s), settings=None, **options):
    """A loss of two of one shape, for all shapes and reductions."""
    make = lambda s: lambda draw: [inputs(draw, s), targets(draw, s)]
    return [
        *(case(name, reduction=r, inputs=make(s), settings=settings, **options) for s in SHAPES for r in REDUCTIONS),
        *(case(name, **old, inputs=make((4, 3)), settings=settings, **options) for old in OLD if name != "HuberLoss"),
    ]


def classes(name, drawn=lambda draw, *s: draw(*s), shapes=((4, 3), (3,), (2, 3, 2), (2, 3, 2, 2)), **options):
    """A loss of scores (N, C, ...) and class indices (N, ...), the first of which is 1, for all reductions."""

    def make(s):
        def inputs(draw):
            target = draw.integers(3, *(s[:1] + s[2:] if len(s) > 1 else ()))
            target.reshape(-1)[:1] = 1
            return [drawn(draw, *s), target]

        return inputs

    return [case(name, reduction=r, inputs=make(s), **options) for s in shapes for r in REDUCTIONS]


def logs(draw, *shape, axis=1):
    """Log-probabilities over an axis."""
    x = np.exp(draw(*shape))
    return np.log(x / x.sum(axis=min(axis, len(shape) - 1), keepdims=True))


positive = lambda draw, s: draw.positive(*s)
signs = lambda draw, s: fixed(draw.signs(*s))
counts = lambda draw, s: fixed(draw.integers(4, *s).astype(draw.dtype))


def soft(*shape):
    """Scores and probabilities of classes."""
    return lambda draw: [draw(*shape), np.exp(logs(draw, *shape))]


def three(*shape):
    return lambda draw: [draw(*shape), draw(*shape), draw(*shape)]


def labelled(draw):
    """Rows, and the classes listed for each up to a -1."""
    return [draw(3, 4), np.array([[3, 0, -1, 1], [-1, 2, 0, 1], [0, 1, 2, 3]])]


# PyTorch's gradient takes for granted that log_softmax came before: only together with that it is the gradient.
SCORES = {"call": lambda layer, x, *rest: layer(x.log_softmax(-1), *rest)}


def ctc(form):
    """All that CTC takes: targets in rows or one after the other, lengths in tensors, tuples or numbers."""

    def inputs(draw):
        x = draw(7, 3, 5)
        targets, lengths = draw.integers(5, 3, 3, low=1), np.array([2, 3, 1])
        times = np.array([7, 6, 5])
        if form == "joined":
            return [x, np.concatenate([t[:n] for t, n in zip(targets, lengths)]), times, lengths]
        if form == "tuples":
            return [x, targets, tuple(map(int, times)), tuple(map(int, lengths))]
        if form == "single":
            return [x[:, 0], targets[0, :2], np.array(7), np.array(2)]
        if form == "impossible":
            return [x, targets, np.array([7, 1, 5]), lengths]
        return [x, targets, times, lengths]

    return inputs


def adaptive(name):
    """The other ways to call an adaptive softmax."""
    return {"call": lambda layer, x: getattr(layer, name)(x)}


CASES = [
    *pairs("L1Loss"),
    *pairs("MSELoss"),
    *pairs("SmoothL1Loss"),
    *pairs("SmoothL1Loss", beta=0.3),
    *pairs("SmoothL1Loss", beta=0.0),
    *pairs("HuberLoss"),
    *pairs("HuberLoss", delta=0.4),
    *pairs("BCELoss", positive, positive, POOR),
    case("BCELoss", W, inputs=lambda draw: [draw.positive(4, 3), draw.positive(4, 3)]),
    case("BCELoss", ROWS, reduction="sum", inputs=lambda draw: [draw.positive(4, 3), draw.positive(4, 3)]),
    *pairs("BCEWithLogitsLoss", positive),
    *(
        case("BCEWithLogitsLoss", **given, reduction=r, inputs=lambda draw: [draw(4, 3), draw.positive(4, 3)])
        for given in ({"weight": W}, {"weight": ROWS}, {"pos_weight": W}, {"weight": ROWS, "pos_weight": W})
        for r in REDUCTIONS
    ),
    *pairs("KLDivLoss", positive),
    *pairs("KLDivLoss", log_target=True),
    case("KLDivLoss", reduction="batchmean", inputs=lambda draw: [logs(draw, 4, 3), draw.positive(4, 3)]),
    *pairs("PoissonNLLLoss", counts),
    *pairs("PoissonNLLLoss", counts, full=True),
    *pairs("PoissonNLLLoss", counts, positive, log_input=False, eps=1e-3),
    *(
        case(
            "GaussianNLLLoss",
            full=full,
            reduction=r,
            inputs=lambda draw, s=s: [draw(4, 3), draw(4, 3), draw.positive(*s)],
        )
        for full in (False, True)
        for r in REDUCTIONS
        for s in ((4, 3), (4, 1), (4,))
    ),
    case("GaussianNLLLoss", eps=0.5, inputs=lambda draw: [draw(4), draw(4), draw.positive(4)]),
    case("GaussianNLLLoss", inputs=lambda draw: [draw(4), draw(4), 0.7]),
    *classes("NLLLoss", logs),
    *classes("NLLLoss", logs, weight=W),
    *classes("NLLLoss", logs, weight=W, ignore_index=0),
    *classes("NLLLoss2d", logs, shapes=((2, 3, 2, 2),)),
    case("NLLLoss", size_average=False, inputs=lambda draw: [logs(draw, 4, 3), draw.integers(3, 4)]),
    *classes("CrossEntropyLoss"),
    *classes("CrossEntropyLoss", weight=W),
    *classes("CrossEntropyLoss", ignore_index=2, label_smoothing=0.1),
    *classes("CrossEntropyLoss", weight=W, ignore_index=0, label_smoothing=0.3),
    case("CrossEntropyLoss", reduce=False, inputs=lambda draw: [draw(4, 3), draw.integers(3, 4)]),
    *(
        case("CrossEntropyLoss", **given, reduction=r, inputs=soft(*s))
        for given in ({}, {"weight": W}, {"weight": W, "label_smoothing": 0.2})
        for r in REDUCTIONS
        for s in ((4, 3), (3,), (2, 3, 2, 2))
    ),
    *(
        case(
            "LinearCrossEntropyLoss", 4, 3, **given, reduction=r, inputs=lambda draw: [draw(5, 4), draw.integers(3, 5)]
        )
        for given in ({}, {"bias": True}, {"weight": W, "label_smoothing": 0.2}, {"ignore_index": 1})
        for r in REDUCTIONS
    ),
    case(
        "LinearCrossEntropyLoss",
        4,
        3,
        out_features=(2, 2),
        bias=True,
        inputs=lambda draw: [draw(5, 4), draw.integers(3, 5, 2, 2)],
    ),
    case("LinearCrossEntropyLoss", 4, 3, inputs=lambda draw: [draw(4), draw.integers(3)]),
    case("LinearCrossEntropyLoss", 4, 3, inputs=lambda draw: [draw(5, 4), np.exp(logs(draw, 5, 3))]),
    *pairs("HingeEmbeddingLoss", signs),
    *pairs("HingeEmbeddingLoss", signs, margin=0.3),
    *pairs("SoftMarginLoss", signs),
    *(
        case("MultiLabelMarginLoss", reduction=r, inputs=inputs)
        for r in REDUCTIONS
        for inputs in (labelled, lambda draw: [draw(4), np.array([3, 1, -1, 0])])
    ),
    *(
        case(
            "MultiLabelSoftMarginLoss",
            **given,
            reduction=r,
            inputs=lambda draw: [draw(4, 3), fixed(draw.positive(4, 3))],
        )
        for given in ({}, {"weight": W})
        for r in REDUCTIONS
    ),
    *(
        case("CosineEmbeddingLoss", margin=m, reduction=r, inputs=inputs)
        for m in (0.0, 0.2)
        for r in REDUCTIONS
        for inputs in (
            lambda draw: [draw(6, 3), draw(6, 3), signs(draw, (6,))],
            lambda draw: [draw(3), draw(3), signs(draw, ())],
        )
    ),
    *(
        case("MarginRankingLoss", margin=m, reduction=r, inputs=lambda draw: [draw(6), draw(6), signs(draw, (6,))])
        for m in (0.0, 0.5)
        for r in REDUCTIONS
    ),
    *(line for p in (1, 2) for line in classes("MultiMarginLoss", shapes=((4, 3), (3,)), p=p, margin=0.7)),
    *classes("MultiMarginLoss", shapes=((4, 3), (3,)), weight=W),
    *(
        case("TripletMarginLoss", **given, reduction=r, inputs=three(*s))
        for given in ({}, {"p": 1.0}, {"margin": 0.3, "swap": True, "eps": 1e-3})
        for r in REDUCTIONS
        for s in ((4, 3), (3,))
    ),
    *(
        case("TripletMarginWithDistanceLoss", **given, reduction=r, inputs=three(4, 3))
        for given in ({}, {"margin": 0.3, "swap": True}, {"distance_function": lambda a, b: (a - b).abs().sum(-1)})
        for r in REDUCTIONS
    ),
    *(
        case("CTCLoss", settings=SCORES, **given, reduction=r, inputs=ctc(form))
        for given in ({}, {"blank": 0, "zero_infinity": True})
        for r in REDUCTIONS
        for form in ("rows", "joined", "tuples", "single")
    ),
    case(
        "CTCLoss", settings=SCORES, blank=4, inputs=lambda draw: [draw(6, 2, 5), draw.integers(4, 2, 2), (6, 5), (2, 1)]
    ),
    case("CTCLoss", settings=SCORES, zero_infinity=True, reduction="none", inputs=ctc("impossible")),
    *(
        case("AdaptiveLogSoftmaxWithLoss", 16, 10, cutoffs, **given, inputs=inputs)
        for cutoffs, given in (([3], {}), ([2, 5, 8], {"div_value": 2.0, "head_bias": True}))
        for inputs in (
            lambda draw: [draw(7, 16), draw.integers(10, 7)],
            lambda draw: [draw(16), draw.integers(10)],
            lambda draw: [draw(3, 16), draw.integers(2, 3)],
        )
    ),
    *(
        case("AdaptiveLogSoftmaxWithLoss", 16, 10, [2, 5], settings=adaptive(name), inputs=lambda draw: [draw(7, 16)])
        for name in ("log_prob", "predict")
    ),
]
