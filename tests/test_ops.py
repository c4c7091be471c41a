"""Every property of every op on every sample: generated from the declarations; no op is named here."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_core  # noqa: F401 - fills the registry
from autograd_core.op import REGISTRY
from autograd_core.testing import PROPERTIES, Case

OPS = sorted(name for name, op in REGISTRY.items() if op.samples)


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.data())
def test_op_has_every_property(name: str, data) -> None:
    op = REGISTRY[name]
    sample = op.samples[data.draw(st.integers(0, len(op.samples) - 1))]
    rng = np.random.default_rng([zlib.crc32(name.encode()), data.draw(st.integers(0, 2**32 - 1))])
    sizes = lambda: data.draw(st.integers(0, 4))
    arrays, params = sample.draw(rng, sizes) if hasattr(sample, "draw") else sample(rng)
    for has_property in PROPERTIES:
        has_property(Case(op, arrays, params, rng))


@pytest.mark.parametrize("name", OPS)
def test_every_sample_of_an_op_can_be_drawn(name: str) -> None:
    op = REGISTRY[name]
    for k, sample in enumerate(op.samples):
        rng = np.random.default_rng(k)
        arrays, params = sample.draw(rng) if hasattr(sample, "draw") else sample(rng)
        Case(op, arrays, params, rng)


def test_every_differentiable_op_says_what_to_test_it_on() -> None:
    engine = {"put_view", "filled"}  # tested through views in test_views.py: its path holds ops, not numbers
    silent = [n for n, op in REGISTRY.items() if op.differentiable and not op.samples and n not in engine]
    assert not silent, f"no samples: {silent}"
