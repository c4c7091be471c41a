"""Random draws: reproducible, replayable, and seen by whoever watches the thread.

A generator's state is an array of three words, two of key and the number of the next unused block of random bits.  Each
draw reserves as many whole blocks as its numbers need and is a pure function of what it reserved; that is why

* the same seed and the same sequence of calls (sizes and types included) give the same numbers;
* a draw of n numbers begins with what a shorter draw of that type would have given from the same state;
* drawing n and then m numbers equals drawing n + m where n fills its blocks: a multiple of 8 for float32, of 4 for
  float64 and integers; otherwise the second draw begins at the next block;
* draws on different threads never share bits, but who gets which depends on who comes first: give each its Generator,
  or let all draws of a thread come from one with `drawing_from`.

Uniform numbers and integers are the same on every machine; normal and exponential ones agree to rounding, for they go
through the machine's logarithm and cosine.  Inside vmap a draw is what its `randomness` says.
"""

from __future__ import annotations

import functools
import math
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import members
from .dtypes import as_dtype, get_default_dtype, int64, promote_types
from .errors import called
from .kernels import random as kernel
from .op import Traced, op
from .ops.axes import spelled
from .ops.base import broadcast_to, clone
from .ops.create import CPU, as_device, as_size, ask_gradients, float_type, number, require_differentiable
from .ops.math import cos, exp, sin, view_as_complex
from .tape import current, observe, refuse_capture
from .tape import state as thread
from .tensor import PLAIN, Tensor, at
from .views import require_writable

__all__ = [
    "Generator", "bernoulli", "default_generator", "drawing_from", "fork_rng", "get_rng_state",
    "initial_seed", "manual_seed", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip

_FORK = "with fork_rng() leaves it as it was, and so does a Generator that is handed to the draws"


class Generator:
    """A source of random numbers of its own.  It starts from PyTorch's fixed seed unless given another."""

    device = CPU

    def __init__(self, seed: int | None = None, device: Any = None):
        if isinstance(seed, str):
            seed, device = None, seed
        as_device(device, "Generator")
        self.state = np.zeros(3, np.uint64)  # always this array: a captured draw holds on to it
        self.manual_seed(67280421310721 if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start over from a seed; returns the generator."""
        try:
            seed = operator.index(seed)
        except TypeError:
            raise TypeError(f"manual_seed: the seed must be an integer, got {seed!r:.40}") from None
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"manual_seed: the seed must be an integer of 64 bits, got {seed}")
        words = np.array([seed & kernel.WORD, 0, 0], np.uint64)
        if current().capture is None:
            self.state[:] = words
        else:
            at(self.state).write(words)
        return self

    def seed(self) -> int:
        """Start over from an unpredictable seed, and return that."""
        refuse_capture("random numbers are started over from an unpredictable seed: do that before the call")
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed it was started from."""
        return int(self.state[0])

    def get_state(self) -> np.ndarray:
        """A copy of the state."""
        refuse_capture(f"the state of random numbers leaves the tensors: {_FORK}")
        return self.state.copy()

    def set_state(self, state: Any) -> Generator:
        """Go on from a state that get_state gave."""
        new = np.asarray(state.value if isinstance(state, Tensor) else state)
        if new.shape != (3,) or new.dtype != np.uint64:
            raise ValueError(f"set_state: expected three uint64 words from get_state, got {new.shape} {new.dtype}")
        refuse_capture(f"random numbers are started over from a state: {_FORK}")
        self.state[:] = new
        return self

    def mark(self) -> Any:
        """The state, to go back to: a copy, or in code that is captured a tensor, the state at this point of each run."""
        return self.state.copy() if current().capture is None else clone(at(self.state))

    def moved_on(self, mark: Any) -> bool:
        """Whether something was drawn since a mark."""
        return not np.array_equal(self.state, _words(mark))

    def back_to(self, mark: Any) -> None:
        """Go on from a mark."""
        if current().capture is None:
            self.state[:] = _words(mark)
        else:
            at(self.state).write(self._captured(mark))

    @contextmanager
    def drawing_again(self, mark: Any) -> Iterator[None]:
        """A block that draws what was drawn after a mark, and leaves the state as it was.

        What is captured draws on a copy: the way back may be a program of its own, which must change nothing.
        """
        own, captured = self.state, current().capture is not None
        now = own.copy()
        if captured:
            self.state = clone(self._captured(mark)).value
        else:
            own[:] = _words(mark)
        try:
            yield
        finally:
            self.state = own
            if not captured:
                own[:] = now

    def _captured(self, mark: Any) -> Any:
        if not isinstance(mark, Tensor):
            refuse_capture(f"random numbers are started over from a state of before: {_FORK}")
        return mark

    def __repr__(self):
        return f"Generator(seed={self.initial_seed()}, block={int(self.state[2])})"


def _words(mark: Any) -> np.ndarray:
    return mark.value if isinstance(mark, Tensor) else mark


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Start the default generator over from a seed."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator over from an unpredictable seed, and return that."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default generator was started from."""
    return default_generator.initial_seed()


def get_rng_state() -> np.ndarray:
    """A copy of the default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator go on from a state that get_rng_state gave."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A block after which the default generator goes on as if the block had drawn nothing."""
    before = default_generator.mark()
    try:
        yield
    finally:
        if enabled:
            default_generator.back_to(before)


@contextmanager
def drawing_from(generator: Generator) -> Iterator[Generator]:
    """A block in which this thread's draws come from a generator where they would from the default one."""
    if not isinstance(generator, Generator):
        raise TypeError(f"drawing_from: expected a Generator, got {type(generator).__name__}")
    refuse_capture("random numbers come from another generator for a while")
    before, thread.generator = thread.generator, generator
    try:
        yield generator
    finally:
        thread.generator = before


def current_generator() -> Generator:
    """The generator that draws of this thread come from if they name none."""
    return thread.generator or default_generator


# --- ops -------------------------------------------------------------------------------------------------------------


def _draw(**options: Any) -> Callable:
    """Declare a draw: an op that moves the generator's state on."""
    return op(mutates=("state",), **options)


def _members(size: int, values: list, batched: list, *, call: Callable, **params: Any) -> Any:
    """A batch of parameters is drawn for as a whole, so that its members get numbers of their own."""
    return call(*values, **params)


@_draw(name="rand")
def draw_uniform(state, *, shape, dtype):
    """Numbers from 0 to below 1."""
    return kernel.floats(state, "uniform", shape, dtype)


@_draw(name="randn")
def draw_normal(state, *, shape, dtype):
    """Numbers of mean 0 and variance 1, which complex numbers divide between their parts."""
    y = kernel.floats(state, "normal", shape, dtype)
    return y * math.sqrt(0.5) if dtype.kind == "c" else y


@_draw()
def draw_exponential(state, *, shape, dtype):
    """Numbers of density exp(-x)."""
    return kernel.floats(state, "exponential", shape, dtype)


@_draw(name="randint")
def draw_integers(state, *, low, high, shape, dtype):
    """Integers from low to below high."""
    return kernel.integers(state, low, high, shape).astype(dtype, copy=False)


@_draw(name="randperm")
def draw_permutation(state, *, n, dtype):
    """The numbers below n in random order."""
    return kernel.permutation(state, n).astype(dtype, copy=False)


@_draw(batch=lambda *a, **p: _members(*a, call=draw_bernoulli, **p), name="bernoulli")
def draw_bernoulli(state, p, *, dtype):
    """One with probability p, else zero."""
    return kernel.bernoulli(state, p).astype(dtype)


@_draw(batch=lambda *a, **p: _members(*a, call=draw_poisson, **p), name="poisson")
def draw_poisson(state, rate):
    """Counts of a mean."""
    return kernel.poisson(state, rate)


@_draw(batch=lambda *a, **p: _members(*a, call=draw_multinomial, **p), name="multinomial")
def draw_multinomial(state, weights, *, num_samples, replacement):
    """Places along the last axis, in proportion to their weights."""
    return kernel.multinomial(state, weights, num_samples, replacement)


def drawn(draw: Any, generator: Generator | None, *values: Any, **params: Any) -> Any:
    """The tensor of a draw, of which whoever watches the thread is told."""
    if generator is None:
        generator = thread.generator or default_generator
    elif not isinstance(generator, Generator):
        raise TypeError(f"{called(draw.op.name)}: generator must be a Generator, got {type(generator).__name__}")
    if thread.mapped:
        return members.drawn(_drawn, draw, generator.state, values, params)
    return _drawn(draw, generator.state, values, params)


def _drawn(draw: Any, state: np.ndarray, values: tuple, params: dict) -> Any:
    y = draw(state, *[v.value if v.__class__ in PLAIN else v for v in values], **params)
    if isinstance(y, Traced):
        return y
    t = at(y)
    if thread.mode is not None and thread.mode.observers:
        observe(draw.op, (state, *values), params, t)
    return t


# --- draws of a size -------------------------------------------------------------------------------------------------


def _sized(draw: Callable, name: str, shape: tuple, dtype: np.dtype, generator: Any, requires_grad: bool, where: Any):
    if where is not None:
        as_device(where, name)
    t = drawn(draw, generator, shape=shape, dtype=dtype)
    return ask_gradients(t, name) if requires_grad else t


def rand(*sizes, size=None, generator=None, dtype=None, requires_grad=False, device=None):
    """Uniform numbers from 0 to below 1: rand(2, 3) or rand((2, 3))."""
    dtype = float_type(dtype, "rand")
    return _sized(draw_uniform, "rand", as_size(sizes, size, dtype, "rand"), dtype, generator, requires_grad, device)


def randn(*sizes, size=None, generator=None, dtype=None, requires_grad=False, device=None):
    """Normal numbers of mean 0 and variance 1: randn(2, 3) or randn((2, 3))."""
    dtype = float_type(dtype, "randn")
    return _sized(draw_normal, "randn", as_size(sizes, size, dtype, "randn"), dtype, generator, requires_grad, device)


@spelled
def rand_like(input, *, generator=None, dtype=None, requires_grad=False, device=None):
    """Uniform numbers in the shape and type of another."""
    dtype = float_type(input.dtype if dtype is None else dtype, "rand_like")
    return _sized(draw_uniform, "rand_like", input.shape, dtype, generator, requires_grad, device)


@spelled
def randn_like(input, *, generator=None, dtype=None, requires_grad=False, device=None):
    """Normal numbers in the shape and type of another."""
    dtype = float_type(input.dtype if dtype is None else dtype, "randn_like")
    return _sized(draw_normal, "randn_like", input.shape, dtype, generator, requires_grad, device)


@spelled
def randint(low=0, high=None, size=None, *, generator=None, dtype=None, requires_grad=False, device=None):
    """Integers from low (0 if left out) to below high: randint(10, (2, 3)) or randint(5, 10, (2, 3))."""
    if size is None and isinstance(high, (tuple, list)):
        high, size = None, high
    if size is None:
        raise TypeError("randint: needs a size, as in randint(10, (2, 3)) or randint(5, 10, (2, 3))")
    dtype = int64 if dtype is None else as_dtype(dtype)
    as_device(device, "randint")
    if requires_grad:
        require_differentiable(dtype, "randint")
    low, high = _range(low, high, dtype, "randint")
    shape = as_size((), size, dtype, "randint")
    t = drawn(draw_integers, generator, low=low, high=high, shape=shape, dtype=dtype)
    return ask_gradients(t, "randint") if requires_grad else t


@spelled
def randint_like(input, low, high=None, *, generator=None, dtype=None, requires_grad=False, device=None):
    """Integers from low (0 if left out) to below high, in the shape and type of another."""
    dtype = input.dtype if dtype is None else dtype
    return randint(low, high, input.shape, generator=generator, dtype=dtype, requires_grad=requires_grad, device=device)


def _range(low: Any, high: Any, dtype: np.dtype, name: str) -> tuple[int, int]:
    """Bounds of a draw of integers that the type can hold."""
    low, high = (0, low) if high is None else (low, high)
    try:
        low, high = operator.index(low), operator.index(high)
    except TypeError:
        raise TypeError(f"{name}: low and high must be integers, got {low!r:.40} and {high!r:.40}") from None
    if low >= high:
        raise ValueError(f"{name}: low must be less than high, got {low} and {high}")
    least, most = _bounds(dtype)
    if low < least or high - 1 > most:
        raise ValueError(f"{name}: {low} to {high - 1} does not fit {dtype}, which holds all from {least} to {most}")
    return low, high


def _bounds(dtype: np.dtype) -> tuple[int, int]:
    """The least and greatest integer of a type before there are gaps."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    if dtype.kind == "b":
        return 0, 1
    whole = 1 << (np.finfo(dtype).nmant + 1)
    return -whole, whole


def randperm(n, *, generator=None, dtype=None, requires_grad=False, device=None):
    """The numbers from 0 to below n in random order."""
    dtype = int64 if dtype is None else as_dtype(dtype)
    as_device(device, "randperm")
    if requires_grad:
        require_differentiable(dtype, "randperm")
    (n,) = as_size((n,), None, int64, "randperm")
    if n and n - 1 > _bounds(dtype)[1]:
        raise ValueError(f"randperm: {n - 1} does not fit {dtype}")
    t = drawn(draw_permutation, generator, n=n, dtype=dtype)
    return ask_gradients(t, "randperm") if requires_grad else t


# --- draws with parameters -------------------------------------------------------------------------------------------


def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, requires_grad=False, device=None):
    """Normal numbers of given mean and deviation, as mean + std * noise, so that gradients reach both."""
    as_device(device, "normal")
    given = [v for v in (mean, std) if isinstance(v, (Traced, np.ndarray))]
    if (size is None) is not bool(given):
        raise TypeError("normal: give a size if and only if mean and std are both numbers")
    _require((_raw(std) >= 0).all(), "normal", "std must not be negative")
    if not given:
        dtype = float_type(dtype, "normal")
        shape = as_size((), size, dtype, "normal")
    else:
        dtype = _noise_type(given) if dtype is None else float_type(dtype, "normal")
        shape = _common_shape(given, "normal")
    t = _moved(drawn(draw_normal, generator, shape=shape, dtype=dtype), mean, std)
    return ask_gradients(t, "normal") if requires_grad else t


def _noise_type(given: list) -> np.dtype:
    """The floating-point type that holds these."""
    kind = given[0].dtype if len(given) == 1 else promote_types(given[0].dtype, given[1].dtype)
    return kind if kind.kind in "fc" else get_default_dtype()


def _common_shape(given: list, name: str) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*[v.shape for v in given])
    except ValueError:
        raise ValueError(f"{name}: mean {given[0].shape} and std {given[1].shape} do not broadcast together") from None


def _moved(noise: Any, shift: Any, scale: Any) -> Any:
    """shift + scale * noise, without what changes nothing; by NumPy in the same memory where nobody watches.

    The first thing that programs do is to draw their parameters: that should not wait for loops to be compiled.
    """
    watched = thread.mode is not None and thread.mode.observers
    if noise.__class__ is Tensor and not watched and {type(shift), type(scale)} <= {int, float}:
        x = noise.value
        if scale != 1:
            np.multiply(x, scale, out=x)
        if shift != 0:
            np.add(x, shift, out=x)
        return noise
    if not (isinstance(scale, (int, float)) and scale == 1):
        noise = noise * scale
    return noise if isinstance(shift, (int, float)) and shift == 0 else noise + shift


def _raw(value: Any) -> np.ndarray:
    """The numbers of a value, inside however many transforms, to check them."""
    while hasattr(value, "innermost"):
        value = value.innermost()
    return np.asarray(value)


def _require(fine: Any, name: str, what: str) -> None:
    if not fine:
        raise ValueError(f"{name}: {what}")


def _require_floats(value: Any, name: str, kinds: str = "f") -> Any:
    """The value if it has floating-point entries; a list of numbers becomes an array."""
    value = value if isinstance(value, (Traced, np.ndarray)) else np.asarray(value, get_default_dtype())
    if value.dtype.kind not in kinds:
        raise TypeError(f"{name}: needs a floating-point tensor, got {value.dtype}; use x.float()")
    return value


@spelled
def bernoulli(x, p=None, *, generator=None):
    """Ones with probability x, else zeros; with p given, ones with probability p in the shape and type of x."""
    dtype = x.dtype
    p = _require_floats(x if p is None else p, "bernoulli")
    values = _raw(p)
    _require(((values >= 0) & (values <= 1)).all(), "bernoulli", "probabilities must be from 0 to 1")
    p = p if p.shape == x.shape else broadcast_to(p, shape=x.shape)
    return drawn(draw_bernoulli, generator, p, dtype=dtype)


def poisson(input, generator=None):
    """Counts whose means are the entries, in their type."""
    rate = _require_floats(input, "poisson")
    _require(((values := _raw(rate)) >= 0).all() and (values < 1e15).all(), "poisson", "rates must be from 0 to 1e15")
    return drawn(draw_poisson, generator, rate)


@spelled
def multinomial(x, num_samples, replacement=False, *, generator=None):
    """Places along the last axis, each drawn with probability proportional to its entry of x."""
    weights = _require_floats(x, "multinomial")
    if weights.ndim not in (1, 2):
        raise ValueError(f"multinomial: expected one row of weights or a matrix of rows, got shape {weights.shape}")
    values, count = _raw(weights), operator.index(num_samples)
    _require(count > 0, "multinomial", f"num_samples must be positive, got {count}")
    _require((values >= 0).all() and np.isfinite(values).all(), "multinomial", "weights must be finite and >= 0")
    choices = np.count_nonzero(values, axis=-1).min(initial=weights.shape[-1])
    _require(choices > 0 or not values.size and weights.shape[-1], "multinomial", "a row has no positive weight")
    if not replacement and count > choices:
        fewer = f"{count} places without replacement, but a row has only {choices} of positive weight"
        raise ValueError(f"multinomial: num_samples asks for {fewer}; use replacement=True")
    return drawn(draw_multinomial, generator, weights, num_samples=count, replacement=bool(replacement))


# --- fills in place --------------------------------------------------------------------------------------------------


def _fill(x: Any, new: Tensor) -> Any:
    """Let x take on drawn numbers."""
    x.write(new.value if x.level and isinstance(new, Tensor) else new)
    return x


def uniform_(x, from_=0.0, to=1.0, *, generator=None):
    """Fill with uniform numbers from `from_` to below `to`, both parts of complex ones."""
    _require_floats(x, "uniform_", "fc")
    from_, to = number(from_, "uniform_", "from_"), number(to, "uniform_", "to")
    _require(from_ <= to, "uniform_", f"from_ must not exceed to, got {from_} and {to}")
    parts, dtype = ((2,), x.dtype.type().real.dtype) if x.dtype.kind == "c" else ((), x.dtype)
    numbers = _moved(drawn(draw_uniform, generator, shape=(*x.shape, *parts), dtype=dtype), from_, to - from_)
    return _fill(x, view_as_complex(numbers) if parts else numbers)


def normal_(x, mean=0.0, std=1.0, *, generator=None):
    """Fill with normal numbers."""
    _require_floats(x, "normal_", "fc")
    mean, std = number(mean, "normal_", "mean"), number(std, "normal_", "std")
    _require(std >= 0, "normal_", f"std must not be negative, got {std}")
    noise = drawn(draw_normal, generator, shape=x.shape, dtype=x.dtype)
    return _fill(x, _moved(noise, mean, std))


def log_normal_(x, mean=1.0, std=2.0, *, generator=None):
    """Fill with numbers whose logarithms are normal."""
    _require_floats(x, "log_normal_")
    _require(std > 0, "log_normal_", f"std must be positive, got {std}")
    noise = drawn(draw_normal, generator, shape=x.shape, dtype=x.dtype)
    return _fill(x, exp(_moved(noise, mean, std)))


def exponential_(x, lambd=1.0, *, generator=None):
    """Fill with exponentially distributed numbers of rate lambd."""
    _require_floats(x, "exponential_")
    _require(lambd > 0, "exponential_", f"the rate must be positive, got {lambd}")
    times = drawn(draw_exponential, generator, shape=x.shape, dtype=x.dtype)
    return _fill(x, _moved(times, 0, 1 / lambd))


def cauchy_(x, median=0.0, sigma=1.0, *, generator=None):
    """Fill with Cauchy-distributed numbers."""
    _require_floats(x, "cauchy_")
    _require(sigma > 0, "cauchy_", f"sigma must be positive, got {sigma}")
    angle = (drawn(draw_uniform, generator, shape=x.shape, dtype=x.dtype) - 0.5) * math.pi
    return _fill(x, _moved(sin(angle) / cos(angle), median, sigma))


def bernoulli_(x, p=0.5, *, generator=None):
    """Fill with ones with probability p, else zeros."""
    return _fill(x, bernoulli(x, p, generator=generator))


def random_(x, from_=None, to=None, *, generator=None):
    """Fill with integers: below `to`, from `from_` to below `to`, or all that the type holds."""
    least, most = 0, _bounds(x.dtype)[1] + (x.dtype.kind in "iub")
    if from_ is not None:
        least, most = _range(from_, to, x.dtype, "random_")
    return _fill(x, drawn(draw_integers, generator, low=least, high=most, shape=x.shape, dtype=x.dtype))


def _checked(fill: Callable) -> Callable:
    """A fill that draws nothing if it may not write."""

    @functools.wraps(fill)
    def call(x, *args, **options):
        require_writable(x, fill.__name__)
        return fill(x, *args, **options)

    return call


_fills = (bernoulli_, cauchy_, exponential_, log_normal_, normal_, random_, uniform_)
METHODS = {f.__name__: f for f in (bernoulli, multinomial, *map(_checked, _fills))}
for _name, _method in METHODS.items():
    setattr(Traced, _name, _method)
