"""Calls of torch.nn.functional, by subject; record_reference.py records what PyTorch answers to them.

Arrays that are no floats are not differentiated; what PyTorch does not differentiate either is in REFUSED.
"""

import numpy as np

R = np.random.default_rng(31)
normal, uniform, integers = R.standard_normal, R.uniform, R.integers

single = lambda shape: normal(shape).astype(np.float32)  # PyTorch has some functions for these only
LINE, UNIT = uniform(-4, 4, (2, 3)), uniform(0.02, 0.98, (2, 3))
M, X, V = normal((3, 4)), normal((2, 3, 4)), normal(5)
SEQUENCES, IMAGES, BLOCKS = normal((2, 4, 7)), normal((2, 4, 5, 6)), normal((1, 2, 4, 3, 4))
CHANNELS, SCALES, SHIFTS = normal(4), uniform(0.5, 2, 4), normal(4)
LABELS, PLACES = np.array([0, 3, 1]), integers(0, 4, (2, 5, 6))
SHARES = uniform(0.1, 1, (3, 4))
SHARES /= SHARES.sum(1, keepdims=True)
WEIGHTS = uniform(0.5, 2, 4)
SIGNS, ROW_SIGNS = R.choice([-1.0, 1.0], (3, 4)), np.array([1.0, -1.0, 1.0])
WORDS = np.array([[1, 3, 0], [5, 5, 2]])
TABLE = normal((6, 3))
OTHER, THIRD = normal((3, 4)), normal((3, 4))
Q, K, W = normal((2, 3, 4, 5)), normal((2, 3, 6, 5)), normal((2, 3, 6, 2))
HIDDEN = R.random((4, 6)) < 0.3
HIDDEN[:, 0] = False

ACTIVATIONS = [
    *[
        (name, LINE)
        for name in "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu "
        "relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink celu_ elu_ hardtanh_ leaky_relu_ relu_ "
        "rrelu_ selu_".split()
    ],
    *[
        (name, LINE, {"inplace": True})
        for name in "celu elu hardsigmoid hardswish hardtanh leaky_relu mish relu relu6 rrelu selu silu".split()
    ],
    ("celu", LINE, 0.7),
    ("elu", LINE, 1.3),
    ("gelu", LINE, {"approximate": "tanh"}),
    ("glu", M),
    ("glu", LINE, 0),
    ("hardshrink", LINE, 1.0),
    ("hardtanh", LINE, -0.5, 2.0),
    ("leaky_relu", LINE, 0.2),
    ("prelu", LINE, V[:1].copy()),
    ("prelu", X, V[:3].copy()),
    ("rrelu", LINE, 0.1, 0.4),
    ("softplus", LINE, 2.0, 1.0),
    ("softshrink", LINE, 0.8),
    ("threshold", LINE, 0.3, -7.0),
    ("threshold", LINE, 0.3, 2.0, {"inplace": True}),
    ("threshold_", LINE, 0.3, 2.0),
    ("celu_", LINE, 0.5),
    ("elu_", LINE, 0.5),
    ("hardtanh_", LINE, -2.0, 0.5),
    ("leaky_relu_", LINE, 0.3),
    ("rrelu_", LINE, 0.2, 0.3),
    ("softmax", X, 1),
    ("softmax", LINE, {"dim": 0, "dtype": "float32"}),
    ("log_softmax", X, -1),
    ("log_softmax", LINE, {"dim": 0, "dtype": "float32"}),
    ("softmin", X, 0),
    ("softmin", LINE, {"dim": 1}),
]

PRODUCTS = [
    ("linear", X, OTHER),
    ("linear", X, OTHER, V[:3].copy()),
    ("linear", CHANNELS, OTHER, V[:3].copy()),
    ("bilinear", X, LINE[:, :, None] * V[:2], normal((5, 4, 2)), V),
    ("bilinear", M, OTHER, normal((2, 4, 4))),
    ("linear_cross_entropy", M, normal((5, 4)), LABELS),
    (
        "linear_cross_entropy",
        M,
        normal((5, 4)),
        LABELS,
        {"linear_bias": V, "weight": uniform(0.5, 2, 5), "reduction": "none", "label_smoothing": 0.1},
    ),
    (
        "linear_cross_entropy",
        M,
        normal((4, 2, 4)),
        integers(0, 4, (3, 2)),
        {"linear_bias": normal((4, 2)), "ignore_index": 1},
    ),
    ("linear_cross_entropy", M, normal((4, 4)), SHARES),
    ("linear_cross_entropy", CHANNELS, normal((5, 4)), np.array(2)),
    ("grouped_mm", single((2, 3, 4)), single((2, 4, 8))),
    ("grouped_mm", single((6, 4)), single((2, 4, 8)), {"offs": np.array([2, 6], np.int32)}),
    ("grouped_mm", single((2, 3, 4)), single((4, 8)), {"offs": np.array([4, 8], np.int32)}),
    ("grouped_mm", single((3, 8)), single((8, 4)), {"offs": np.array([4, 8], np.int32)}),
]

CONVOLUTIONS = [
    ("conv1d", SEQUENCES, normal((3, 4, 3)), V[:3].copy(), 2, 1),
    ("conv1d", SEQUENCES[0], normal((4, 1, 2)), None, 1, "same", 2, 4),
    ("conv2d", IMAGES, normal((6, 2, 3, 2)), normal(6), (2, 1), (1, 0), 1, 2),
    ("conv2d", IMAGES, normal((3, 4, 2, 3)), None, 1, "valid"),
    ("conv2d", IMAGES, normal((3, 4, 2, 3)), {"padding": "same", "dilation": (1, 2)}),
    ("conv3d", BLOCKS, normal((3, 2, 2, 2, 2)), V[:3].copy(), 1, (1, 0, 1), (1, 2, 1)),
    ("conv_transpose1d", SEQUENCES, normal((4, 3, 3)), V[:3].copy(), 2, 1, 1),
    ("conv_transpose2d", IMAGES, normal((4, 2, 3, 2)), normal(4), (2, 1), (1, 0), (1, 0), 2, (1, 2)),
    ("conv_transpose3d", BLOCKS, normal((2, 2, 2, 1, 2)), None, (1, 2, 1)),
    ("conv_tbc", normal((5, 2, 3)), normal((3, 3, 4)), CHANNELS, 1),
    ("conv_tbc", normal((5, 2, 3)), normal((2, 3, 4)), CHANNELS),
    ("unfold", IMAGES, (2, 3), 1, (1, 0), (2, 1)),
    ("unfold", IMAGES[0], 2, {"dilation": 2}),
    ("fold", normal((2, 12, 15)), (4, 5), (2, 3), 1, (1, 0), 1),
    ("fold", normal((8, 9)), (6, 6), 2, {"stride": 2}),
]

POOLING = [
    *[(f"{kind}_pool{d}d", x, 2) for kind in ("max", "avg") for d, x in ((1, SEQUENCES), (2, IMAGES), (3, BLOCKS))],
    ("max_pool1d", SEQUENCES, 3, 2, 1, 2, True),
    ("max_pool2d", IMAGES, (3, 2), (1, 2), (1, 0), 1, True, True),
    ("max_pool3d", BLOCKS, 2, 1, 1, {"return_indices": True}),
    ("max_pool1d_with_indices", SEQUENCES[0], 3, 2),
    ("max_pool2d_with_indices", IMAGES, 2, 2, 1),
    ("max_pool3d_with_indices", BLOCKS, (2, 1, 2)),
    ("avg_pool1d", SEQUENCES, 3, 2, 1, True, False),
    ("avg_pool2d", IMAGES, (3, 2), None, (1, 0), True, False),
    ("avg_pool2d", IMAGES[0], 2, {"divisor_override": 3}),
    ("avg_pool3d", BLOCKS, 2, 1, 1, False, False),
    *[(f"lp_pool{d}d", np.abs(x) + 0.1, 2.0, 2) for d, x in ((1, SEQUENCES), (2, IMAGES), (3, BLOCKS))],
    ("lp_pool2d", np.abs(IMAGES), 3.0, (2, 3), 1, True),
    *[(f"adaptive_{kind}_pool1d", SEQUENCES, 3) for kind in ("max", "avg")],
    *[(f"adaptive_{kind}_pool2d", IMAGES, (3, None)) for kind in ("max", "avg")],
    *[(f"adaptive_{kind}_pool3d", BLOCKS, (2, 3, 1)) for kind in ("max", "avg")],
    ("adaptive_max_pool1d", SEQUENCES, 2, True),
    ("adaptive_max_pool2d", IMAGES, 2, {"return_indices": True}),
    ("adaptive_max_pool1d_with_indices", SEQUENCES, 5),
    ("adaptive_max_pool2d_with_indices", IMAGES, (1, 4)),
    ("adaptive_max_pool3d_with_indices", BLOCKS, 2),
    ("adaptive_max_pool3d", BLOCKS, 2, True),
    ("fractional_max_pool2d", IMAGES, 2, (3, 4), {"_random_samples": uniform(0, 1, (2, 4, 2))}),
    ("fractional_max_pool2d", IMAGES, (2, 1), None, (0.6, 0.6), True, uniform(0, 1, (2, 4, 2))),
    ("fractional_max_pool3d", BLOCKS, 2, (2, 1, 2), {"_random_samples": uniform(0, 1, (1, 2, 3))}),
    ("fractional_max_pool2d_with_indices", IMAGES, 2, 3, {"_random_samples": uniform(0, 1, (2, 4, 2))}),
    (
        "fractional_max_pool3d_with_indices",
        BLOCKS,
        2,
        {"output_ratio": 0.5, "_random_samples": uniform(0, 1, (1, 2, 3))},
    ),
    ("max_unpool1d", normal((1, 2, 3)), np.array([[[0, 3, 4], [1, 2, 5]]]), 2),
    ("max_unpool2d", normal((1, 1, 2, 2)), np.array([[[[0, 2], [13, 11]]]]), 2, None, 0, (4, 4)),
    ("max_unpool3d", normal((1, 1, 1, 2, 1)), np.array([[[[[3], [9]]]]]), (2, 2, 2)),
]

NORMALIZATION = [
    ("batch_norm", IMAGES, CHANNELS, SCALES),
    ("batch_norm", IMAGES, CHANNELS, SCALES, WEIGHTS, SHIFTS, False, 0.1, 1e-3),
    ("batch_norm", SEQUENCES, CHANNELS, SCALES, WEIGHTS, SHIFTS, True, 0.3),
    ("batch_norm", M, None, None, WEIGHTS, None, True),
    ("instance_norm", IMAGES),
    ("instance_norm", IMAGES, CHANNELS, SCALES, WEIGHTS, SHIFTS, True, 0.3, 1e-4),
    ("instance_norm", IMAGES, CHANNELS, SCALES, WEIGHTS, SHIFTS, False),
    ("group_norm", IMAGES, 2, WEIGHTS, SHIFTS),
    ("group_norm", SEQUENCES, 4, {"eps": 1e-2}),
    ("layer_norm", X, (4,), WEIGHTS, SHIFTS),
    ("layer_norm", X, (3, 4)),
    ("rms_norm", X, (4,), WEIGHTS),
    ("rms_norm", X, (3, 4), {"eps": 0.1}),
    ("local_response_norm", IMAGES, 3),
    ("local_response_norm", SEQUENCES, 2, 0.3, 0.6, 2.0),
    ("normalize", X),
    ("normalize", X, 3.0, -1),
]

LOSSES = [
    *[
        (name, M, OTHER, {"reduction": how})
        for how in ("mean", "sum", "none")
        for name in "l1_loss mse_loss smooth_l1_loss huber_loss".split()
    ],
    ("mse_loss", M, OTHER, {"weight": SHARES}),
    ("l1_loss", M, OTHER, {"weight": SHARES}),
    ("mse_loss", M, OTHER, False),
    ("smooth_l1_loss", M, OTHER, {"beta": 0.4}),
    ("huber_loss", M, OTHER, "sum", 0.6, SHARES),
    ("mse_loss", M, OTHER, None, False),
    ("smooth_l1_loss", M, OTHER, {"beta": 0.0}),
    ("cross_entropy", M, LABELS),
    ("cross_entropy", M, LABELS, WEIGHTS, None, 3, None, "mean", 0.2),
    ("cross_entropy", M, SHARES, WEIGHTS, {"label_smoothing": 0.1}),
    ("cross_entropy", IMAGES, PLACES, {"reduction": "none"}),
    ("cross_entropy", M, LABELS, WEIGHTS, False),
    ("cross_entropy", CHANNELS, np.array(2)),
    ("nll_loss", M, LABELS),
    ("nll_loss", IMAGES, PLACES, WEIGHTS, None, 2),
    ("nll_loss", M, LABELS, {"reduction": "none"}),
    ("binary_cross_entropy", UNIT, UNIT[::-1].copy()),
    ("binary_cross_entropy", UNIT, UNIT[::-1].copy(), LINE + 5, {"reduction": "sum"}),
    ("binary_cross_entropy_with_logits", LINE, UNIT),
    ("binary_cross_entropy_with_logits", LINE, UNIT, V[:3] + 3, None, None, "none", uniform(1, 2, 3)),
    ("kl_div", np.log(SHARES), SHARES[::-1].copy()),
    ("kl_div", np.log(SHARES), np.log(SHARES[::-1]), {"log_target": True, "reduction": "batchmean"}),
    ("poisson_nll_loss", M, np.abs(OTHER) + 1.5),
    ("poisson_nll_loss", SHARES, np.abs(OTHER) + 1.5, False, True, None, 1e-6, None, "sum"),
    ("gaussian_nll_loss", M, OTHER, SHARES),
    ("gaussian_nll_loss", M, OTHER, 0.5, True, {"reduction": "none"}),
    ("gaussian_nll_loss", M, OTHER, SHARES[:, 0].copy(), {"reduction": "sum"}),
    ("hinge_embedding_loss", M, SIGNS),
    ("hinge_embedding_loss", M, SIGNS, 0.5, {"reduction": "none"}),
    ("margin_ranking_loss", M, OTHER, SIGNS),
    ("margin_ranking_loss", M, OTHER, SIGNS, 0.5, {"reduction": "sum"}),
    ("cosine_embedding_loss", M, OTHER, ROW_SIGNS),
    ("cosine_embedding_loss", M, OTHER, ROW_SIGNS, 0.3, {"reduction": "none"}),
    ("soft_margin_loss", M, SIGNS),
    ("soft_margin_loss", M, SIGNS, {"reduction": "none"}),
    ("multi_margin_loss", M, LABELS),
    ("multi_margin_loss", M, LABELS, 2, 0.8, WEIGHTS, {"reduction": "sum"}),
    ("multilabel_margin_loss", M, np.array([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 1, 1, 1]])),
    ("multilabel_soft_margin_loss", M, SHARES),
    ("multilabel_soft_margin_loss", M, SHARES, WEIGHTS, {"reduction": "none"}),
    ("triplet_margin_loss", M, OTHER, THIRD),
    ("triplet_margin_loss", M, OTHER, THIRD, 2.0, 1.5, 1e-3, True, {"reduction": "none"}),
    ("triplet_margin_with_distance_loss", M, OTHER, THIRD, {"margin": 1.5, "swap": True}),
    (
        "ctc_loss",
        np.log(SHARES[:, None, :] / SHARES.sum(1)[:, None, None]) + np.zeros((3, 2, 1)),
        np.array([[1, 2], [3, 3]]),
        np.array([3, 3]),
        np.array([2, 1]),
    ),
    (
        "ctc_loss",
        np.log(SHARES[:, None, :]) + np.zeros((3, 2, 1)),
        np.array([1, 2, 1]),
        np.array([3, 2]),
        np.array([2, 1]),
        0,
        "none",
        True,
    ),
    ("cosine_similarity", M, OTHER),
    ("cosine_similarity", X, M, -1, 1e-6),
    ("pairwise_distance", M, OTHER),
    ("pairwise_distance", X, M, 1.0, 1e-3, True),
    ("pdist", M),
    ("pdist", M, 1.0),
    ("pdist", M, 3.5),
]

LOOKUP = [
    ("embedding", WORDS, TABLE),
    ("embedding", WORDS, TABLE, 5, None, 2.0, True),
    ("embedding", WORDS, TABLE, -1, 1.0, 1.0),
    ("embedding_bag", WORDS, TABLE),
    ("embedding_bag", WORDS.ravel(), TABLE, np.array([0, 2, 2]), {"mode": "sum"}),
    ("embedding_bag", WORDS, TABLE, {"mode": "sum", "per_sample_weights": LINE}),
    ("embedding_bag", WORDS, TABLE, {"mode": "max"}),
    ("embedding_bag", WORDS.ravel(), TABLE, np.array([0, 2, 6]), {"include_last_offset": True, "padding_idx": 5}),
    ("one_hot", WORDS),
    ("one_hot", WORDS, 8),
    *[
        (name, x, {"training": False})
        for x in (IMAGES,)
        for name in "dropout dropout2d alpha_dropout feature_alpha_dropout".split()
    ],
    ("dropout", LINE, 1.0),
    ("dropout", LINE, 0.0, True, True),
    ("dropout1d", SEQUENCES, 0.0),
    ("dropout3d", BLOCKS, 1.0),
]

RESAMPLING = [
    *[("pad", X, (1, 2, 2, 0), mode) for mode in ("reflect", "replicate", "circular")],
    *[("pad", BLOCKS, (1, 2, 0, 1, 2, 2), mode) for mode in ("reflect", "replicate", "circular")],
    *[("pad", SEQUENCES, (-1, 3), mode) for mode in ("reflect", "replicate", "circular")],
    ("pad", X, (1, -1, 0, 2, 1, 1)),
    ("pad", X, (1, 2), "constant", 2.5),
    ("pad", M, [0, 1], {"value": -1.0}),
    ("interpolate", SEQUENCES, {"scale_factor": 2.0}),
    ("interpolate", SEQUENCES, 10, {"mode": "linear"}),
    ("interpolate", IMAGES, (7, 3), {"mode": "bilinear", "align_corners": True}),
    ("interpolate", IMAGES, (3, 3), {"mode": "bilinear", "antialias": True}),
    ("interpolate", IMAGES, (3, 4), {"mode": "bicubic", "antialias": True}),
    ("interpolate", IMAGES, (8, 3), {"mode": "bicubic"}),
    ("interpolate", IMAGES, None, (1.5, 0.7), "bilinear", False, True),
    ("interpolate", IMAGES, (3, 4), {"mode": "area"}),
    ("interpolate", BLOCKS, (5, 2, 6), {"mode": "trilinear"}),
    ("interpolate", IMAGES, (4, 9), {"mode": "nearest-exact"}),
    ("upsample", IMAGES, (7, 9)),
    ("upsample", IMAGES, None, 2, "bilinear", True),
    ("upsample_nearest", IMAGES, None, 2),
    ("upsample_bilinear", IMAGES, (7, 8)),
    ("affine_grid", normal((2, 2, 3)), (2, 3, 4, 5), False),
    ("affine_grid", normal((1, 3, 4)), (1, 2, 2, 3, 2), True),
    *[
        ("grid_sample", IMAGES, uniform(-1.1, 1.1, (2, 3, 2, 2)), mode, edge, align)
        for mode, edge, align in (
            ("bilinear", "zeros", False),
            ("bilinear", "border", True),
            ("bicubic", "reflection", False),
            ("nearest", "zeros", True),
        )
    ],
    ("grid_sample", BLOCKS, uniform(-1, 1, (1, 2, 2, 2, 3)), {"align_corners": False}),
    ("pixel_shuffle", IMAGES, 2),
    ("pixel_unshuffle", IMAGES[:, :, :4].copy(), 2),
    ("channel_shuffle", IMAGES, 2),
    ("native_channel_shuffle", IMAGES, 2),
]


def _heads(length, keys, batch=2, width=4, heads=2, **options):
    """A call of multi_head_attention_forward; True stands for a usual weight."""
    lead = (batch,) if batch else ()
    given = {
        "query": normal((length, *lead, width)), "key": normal((keys, *lead, width)), "value": normal((keys, *lead, width)),
        "embed_dim_to_check": width, "num_heads": heads, "in_proj_weight": normal((3 * width, width)),
        "in_proj_bias": normal(3 * width), "bias_k": None, "bias_v": None, "add_zero_attn": False, "dropout_p": 0.0,
        "out_proj_weight": normal((width, width)), "out_proj_bias": normal(width),
    }  # fmt: skip
    return ("multi_head_attention_forward", given | options)


CAUSAL, LATER = np.triu(np.full((4, 4), -np.inf), 1), np.triu(np.ones((4, 4), bool), 1)
ABSENT = np.array([[False, False, True, False], [False, False, False, False]])
SEPARATE = {"use_separate_proj_weight": True, "in_proj_weight": None, "q_proj_weight": normal((4, 4)),
            "k_proj_weight": normal((4, 3)), "v_proj_weight": normal((4, 5)), "key": normal((5, 2, 3)),
            "value": normal((5, 2, 5))}  # fmt: skip
ADDED = {"bias_k": normal((1, 1, 4)), "bias_v": normal((1, 1, 4)), "add_zero_attn": True}
FIXED = {"static_k": normal((4, 3, 2)), "static_v": normal((4, 3, 2))}

ATTENTION = [
    ("scaled_dot_product_attention", Q, K, W),
    ("scaled_dot_product_attention", Q, Q[..., ::-1].copy(), Q, {"is_causal": True}),
    ("scaled_dot_product_attention", Q, K, W, normal((4, 6)), 0.0, False),
    ("scaled_dot_product_attention", Q, K, W, ~HIDDEN, {"scale": 0.3}),
    (
        "scaled_dot_product_attention",
        normal((2, 4, 3, 5)),
        normal((2, 2, 6, 5)),
        normal((2, 2, 6, 3)),
        {"enable_gqa": True},
    ),
    _heads(4, 4),
    _heads(4, 4, attn_mask=CAUSAL, is_causal=True),
    _heads(4, 4, attn_mask=LATER, need_weights=False, is_causal=True),
    _heads(3, 5, batch=0),
    _heads(3, 5, need_weights=False),
    _heads(3, 4, key_padding_mask=ABSENT, average_attn_weights=False),
    _heads(4, 4, attn_mask=LATER, key_padding_mask=ABSENT, need_weights=False, training=False, dropout_p=0.5),
    _heads(3, 5, **SEPARATE),
    _heads(3, 5, **SEPARATE, in_proj_bias=None, need_weights=False),
    _heads(3, 5, in_proj_bias=None, out_proj_bias=None),
    _heads(4, 4, **ADDED, attn_mask=LATER, key_padding_mask=ABSENT),
    _heads(3, 5, **ADDED, need_weights=False),
    _heads(4, 4, attn_mask=normal((4, 4, 4))),
    _heads(4, 4, attn_mask=normal((4, 4, 4)), need_weights=False),
    _heads(3, 3, **FIXED),
    _heads(4, 4, batch=0, attn_mask=normal((2, 4, 4)), key_padding_mask=ABSENT[0], average_attn_weights=False),
]

TABLE_OF_CALLS = [
    (f"nn.functional.{name}", *args)
    for part in (ACTIVATIONS, PRODUCTS, CONVOLUTIONS, POOLING, NORMALIZATION, LOSSES, LOOKUP, RESAMPLING, ATTENTION)
    for name, *args in part
]
