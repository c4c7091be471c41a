"""Steps of optimizers against torch.optim, step by step, and against plain NumPy; what they must not touch."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.kernels import _jit, optimizer
from autograd_core.kernels._threads import get_num_threads, set_num_threads
from autograd_core.ops import updates

STEPS = 6


def zeros(p):
    return np.zeros_like(p)


def counter(value=0.0):
    return np.array(value, np.float64)


# For each: what is remembered at first, the call, torch's class, and settings that both understand.
def sgd(p, o):
    state = {"buffer": zeros(p), "step": counter()}
    return lambda g: updates.sgd_step(p, g, state["buffer"], state["step"], 0.1, **o)


def adam(p, o, decoupled=False):
    o = dict(o)
    most = zeros(p) if o.pop("amsgrad", False) else None
    m, v, t = zeros(p), zeros(p), counter()
    return lambda g: updates.adam_step(p, g, m, v, most, t, 0.1, decoupled=decoupled, **o)


def adamw(p, o):
    return adam(p, {"weight_decay": 0.01} | o, True)


def adamax(p, o):
    m, u, t = zeros(p), zeros(p), counter()
    return lambda g: updates.adamax_step(p, g, m, u, t, 0.1, **o)


def renamed(o):
    return {{"decoupled_weight_decay": "decoupled"}.get(k, k): v for k, v in o.items()}


def nadam(p, o):
    m, v, product, t = zeros(p), zeros(p), counter(1.0), counter()
    return lambda g: updates.nadam_step(p, g, m, v, product, t, 0.1, **renamed(o))


def radam(p, o):
    m, v, t = zeros(p), zeros(p), counter()
    return lambda g: updates.radam_step(p, g, m, v, t, 0.1, **renamed(o))


def adagrad(p, o):
    o = dict(o)
    total, t = np.full_like(p, o.pop("initial_accumulator_value", 0)), counter()
    return lambda g: updates.adagrad_step(p, g, total, t, 0.1, **o)


def adadelta(p, o):
    v, a = zeros(p), zeros(p)
    return lambda g: updates.adadelta_step(p, g, v, a, 0.1, **o)


def rmsprop(p, o):
    v = zeros(p)
    mean = zeros(p) if o.get("centered") else None
    buffer = zeros(p) if o.get("momentum") else None
    return lambda g: updates.rmsprop_step(p, g, v, mean, buffer, 0.1, **o)


def rprop(p, o):
    o = {{"step_sizes": "sizes"}.get(k, k): v for k, v in o.items()}
    before, size = zeros(p), np.full_like(p, 0.1)
    return lambda g: updates.rprop_step(p, g, before, size, **o)


def asgd(p, o):
    average, t, rate, weight = zeros(p), counter(), counter(0.1), counter(1.0)
    return lambda g: updates.asgd_step(p, g, average, t, rate, weight, 0.1, **o)


def lion(p, o):
    m = zeros(p)
    return lambda g: updates.lion_step(p, g, m, 0.1, **o)


CASES = [
    *[("SGD", sgd, o) for o in (
        {}, {"weight_decay": 0.1, "maximize": True}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    )],
    *[("Adam", adam, o) for o in (
        {}, {"weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True, "betas": (0.5, 0.6)}
    )],
    *[("AdamW", adamw, o) for o in ({}, {"amsgrad": True, "weight_decay": 0.2}, {"maximize": True, "eps": 1e-3})],
    *[("Adamax", adamax, o) for o in ({}, {"weight_decay": 0.1, "maximize": True})],
    *[("NAdam", nadam, o) for o in (
        {}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}
    )],
    *[("RAdam", radam, o) for o in ({}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True})],
    *[("Adagrad", adagrad, o) for o in (
        {}, {"lr_decay": 0.1, "weight_decay": 0.1}, {"initial_accumulator_value": 0.5, "maximize": True}
    )],
    *[("Adadelta", adadelta, o) for o in ({}, {"rho": 0.5, "weight_decay": 0.1, "maximize": True})],
    *[("RMSprop", rmsprop, o) for o in (
        {}, {"weight_decay": 0.1, "maximize": True}, {"momentum": 0.9}, {"centered": True},
        {"centered": True, "momentum": 0.5, "alpha": 0.8},
    )],
    *[("Rprop", rprop, o) for o in ({}, {"etas": (0.4, 1.5), "step_sizes": (0.01, 0.2), "maximize": True})],
    *[("ASGD", asgd, o) for o in ({}, {"weight_decay": 0.1, "t0": 2, "lambd": 0.01, "maximize": True})],
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("name, made, options", CASES, ids=lambda v: str(v) if not callable(v) else "")
def test_steps_are_torchs(name, made, options, size, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p = rng.standard_normal(size).astype(dtype)
    theirs = torch.tensor(p)
    optimizer = getattr(torch.optim, name)([theirs], lr=0.1, **options)
    step = made(p, options)
    for _ in range(STEPS):
        g = rng.standard_normal(size).astype(dtype)
        before = g.copy()
        step(g)
        theirs.grad = torch.tensor(g)
        optimizer.step()
        assert np.array_equal(g, before)
        np.testing.assert_allclose(p, theirs.numpy(), rtol=2e-5 if dtype == np.float32 else 1e-12, atol=2e-6)


def test_lion_follows_the_sign_of_its_mean():
    rng = np.random.default_rng(0)
    p = rng.standard_normal(200)
    q, m, step = p.copy(), np.zeros(200), lion(p, {"betas": (0.8, 0.9), "weight_decay": 0.1})
    for _ in range(STEPS):
        g = rng.standard_normal(200)
        q = q * (1 - 0.1 * 0.1) - 0.1 * np.sign(0.8 * m + 0.2 * g)
        m = 0.9 * m + 0.1 * g
        step(g)
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name, made, options", CASES, ids=lambda v: str(v) if not callable(v) else "")
def test_scale_multiplies_the_gradient_and_nothing_else(name, made, options):
    rng = np.random.default_rng(1)
    g = rng.standard_normal(100)
    p, q = np.ones(100), np.ones(100)
    made(p, options)(g * 0.25)
    made(q, options | {"scale": np.array(0.25)})(g)
    np.testing.assert_allclose(p, q, rtol=1e-13)


def test_tensors_and_arrays_without_axes():
    p, g = ag.tensor(np.ones(70, np.float32)), ag.tensor(np.full(70, 0.5, np.float32))
    m, v = (ag.tensor(np.zeros(70, np.float32)) for _ in range(2))
    version = p._version
    updates.adam_step(p, g, m, v, None, t := counter(), np.array(0.1), None)
    assert t == 1 and p._version == version + 1
    np.testing.assert_allclose(p.numpy(), np.full(70, 0.9, np.float32), rtol=1e-6)


def test_parameters_that_are_no_rows_in_order():
    a, b = np.ones((6, 20)), np.ones((20, 6)).T
    for p in (a, b):
        updates.sgd_step(p, np.full((6, 20), 2.0), zeros(p), counter(), 0.5, momentum=0.9)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, np.zeros((6, 20)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("way", ["compiled", "reference"])
def test_nothing_that_is_remembered_becomes_subnormal(dtype, way):
    if way == "compiled" and not _jit.COMPILED:
        pytest.skip("nothing is compiled")
    tiny = np.finfo(dtype).tiny
    p, g = np.ones(300, dtype), np.full(300, 0, dtype)
    m, v = np.full(300, 4 * tiny, dtype), np.full(300, 4 * tiny, dtype)
    run = getattr(optimizer.adam, way)
    for _ in range(100):
        run(p, g, m, v, 1.0, 0.0, 1.0, 0.1, 0.9, 1.0, 1e-8, 0.1, float(tiny), float(tiny) ** 0.5)
        for a in (m, v):
            assert ((a == 0) | (np.abs(a) >= tiny)).all()
    assert (m == 0).all() and (v == 0).all()


@pytest.mark.skipif(not _jit.COMPILED, reason="nothing is compiled")
def test_any_number_of_threads_gives_the_same_bits():
    rng, results, before = np.random.default_rng(0), [], get_num_threads()
    start, g = rng.standard_normal(100_003).astype(np.float32), rng.standard_normal(100_003).astype(np.float32)
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            p = start.copy()
            step = adam(p, {"weight_decay": 0.1, "amsgrad": True})
            for _ in range(3):
                step(g)
            results.append(p)
    finally:
        set_num_threads(before)
    assert all(np.array_equal(results[0], r) for r in results)
