"""JAX under jit: layers beyond those of `layers`, functions, and training steps whose state is donated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..rows import Step
from . import layers
from .layers import Module, zeros
from .library import Library as Base
from .library import cotangent

IMAGES = "NCHW", "OIHW", "NCHW"


def pair(n: int | tuple[int, int]) -> tuple[int, int]:
    """A number for both directions."""
    return n if isinstance(n, tuple) else (n, n)


def conv(
    x: Any, w: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Convolution in one to three dimensions."""
    n = x.ndim - 2
    each = lambda v: tuple(v) if isinstance(v, tuple) else (v,) * n
    names = "NC" + "DHW"[3 - n :], "OI" + "DHW"[3 - n :], "NC" + "DHW"[3 - n :]
    y = lax.conv_general_dilated(
        x, w, each(stride), [(p, p) for p in each(padding)], None, each(dilation), names, groups
    )
    return y if bias is None else y + bias.reshape(-1, *(1,) * n)


def conv_transpose2d(x: Any, w: Any, bias: Any = None, stride: int = 1, padding: int = 0) -> Any:
    """The gradient of a convolution by its input."""
    edges = [(k - 1 - padding, k - 1 - padding) for k in w.shape[2:]]
    turned = jnp.flip(w, (2, 3)).swapaxes(0, 1)
    y = lax.conv_general_dilated(x, turned, (1, 1), edges, pair(stride), None, IMAGES)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def max_pool2d(x: Any, kernel_size: int, stride: int | None = None, padding: int = 0) -> Any:
    """The largest entry of each window."""
    p = (padding, padding)
    window, steps = (1, 1, *pair(kernel_size)), (1, 1, *pair(stride or kernel_size))
    return lax.reduce_window(x, -jnp.inf, lax.max, window, steps, [(0, 0), (0, 0), p, p])


def avg_pool2d(x: Any, kernel_size: int, stride: int | None = None, padding: int = 0) -> Any:
    """The mean of each window, zeros at the edges counted."""
    p = (padding, padding)
    window, steps = (1, 1, *pair(kernel_size)), (1, 1, *pair(stride or kernel_size))
    return lax.reduce_window(x, 0.0, lax.add, window, steps, [(0, 0), (0, 0), p, p]) / math.prod(window)


def attention(q: Any, k: Any, v: Any, is_causal: bool = False) -> Any:
    """Scaled dot products, of (batch, heads, length, width)."""
    s = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    if is_causal:
        s = jnp.where(np.tri(s.shape[-2], s.shape[-1], dtype=bool), s, -jnp.inf)
    return jax.nn.softmax(s, -1) @ v


F = SimpleNamespace(
    **vars(layers.functions(jnp))
    | dict(
        relu=jax.nn.relu,
        gelu=partial(jax.nn.gelu, approximate=False),
        silu=jax.nn.silu,
        softplus=jax.nn.softplus,
        log_softmax=jax.nn.log_softmax,
        conv1d=conv,
        conv2d=conv,
        conv3d=conv,
        conv_transpose2d=conv_transpose2d,
        max_pool2d=max_pool2d,
        avg_pool2d=avg_pool2d,
        scaled_dot_product_attention=attention,
        embedding=lambda index, weight: weight[index],
    )
)


class Conv2d(Module):
    """See PyTorch."""

    def __init__(self, c: int, k: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True):
        self.weight, self.stride, self.padding = zeros(k, c, size, size), stride, padding
        self.bias = zeros(k) if bias else None

    def forward(self, x: Any) -> Any:
        return conv(x, self.weight, self.bias, self.stride, self.padding)


class ConvTranspose2d(Module):
    """See PyTorch."""

    def __init__(self, c: int, k: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True):
        self.weight, self.stride, self.padding = zeros(c, k, size, size), stride, padding
        self.bias = zeros(k) if bias else None

    def forward(self, x: Any) -> Any:
        return conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)


class BatchNorm2d(Module):
    """In training: normalizes by the batch, and remembers means and variances."""

    def __init__(self, c: int):
        self.weight, self.bias = zeros(c), zeros(c)
        self.running_mean, self.running_var = zeros(c), zeros(c) + 1

    def forward(self, x: Any) -> Any:
        mean, var, n = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size // x.shape[1]
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.running_var = 0.9 * self.running_var + 0.1 * var * (n / (n - 1))
        along = lambda v: v[:, None, None]
        return (x - along(mean)) * along(self.weight * lax.rsqrt(var + 1e-5)) + along(self.bias)


class Recurrent(Module):
    """Over batches of sequences; `cell` takes what the input and what the state contribute."""

    trained = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    gates: int

    def __init__(self, n: int, h: int, batch_first: bool = True):
        self.weight_ih_l0, self.weight_hh_l0 = zeros(self.gates * h, n), zeros(self.gates * h, h)
        self.bias_ih_l0, self.bias_hh_l0 = zeros(self.gates * h), zeros(self.gates * h)

    def cell(self, state: tuple, a: Any, b: Any) -> tuple:
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        h = jnp.zeros((x.shape[0], self.weight_hh_l0.shape[1]), x.dtype)
        given = (x @ self.weight_ih_l0.T + self.bias_ih_l0).swapaxes(0, 1)

        def step(state: tuple, a: Any) -> tuple:
            state = self.cell(state, a, state[0] @ self.weight_hh_l0.T + self.bias_hh_l0)
            return state, state[0]

        state, outputs = lax.scan(step, (h, h), given)
        return outputs.swapaxes(0, 1), state


class LSTM(Recurrent):
    """See PyTorch."""

    gates = 4

    def cell(self, state: tuple, a: Any, b: Any) -> tuple:
        i, f, g, o = jnp.split(a + b, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c


class GRU(Recurrent):
    """See PyTorch."""

    gates = 3

    def cell(self, state: tuple, a: Any, b: Any) -> tuple:
        (r, z, n), (s, t, m) = jnp.split(a, 3, -1), jnp.split(b, 3, -1)
        z = jax.nn.sigmoid(z + t)
        h = (1 - z) * jnp.tanh(n + jax.nn.sigmoid(r + s) * m) + z * state[0]
        return h, h


NN = SimpleNamespace(
    **vars(layers.layers(jnp, F))
    | dict(
        Conv2d=Conv2d,
        ConvTranspose2d=ConvTranspose2d,
        BatchNorm2d=BatchNorm2d,
        LSTM=LSTM,
        GRU=GRU,
        MaxPool2d=lambda size: partial(max_pool2d, kernel_size=size),
        GELU=lambda: F.gelu,
        Sigmoid=lambda: jax.nn.sigmoid,
        LeakyReLU=lambda slope: partial(jax.nn.leaky_relu, negative_slope=slope),
    )
)


def adam_step(params: dict, slopes: dict, state: tuple, lr: float) -> tuple[dict, tuple]:
    """All parameters, once."""
    t, m, v = state
    new = {k: layers.adam(jnp, t, params[k], slopes[k], m[k], v[k], lr) for k in params}
    return {k: x[0] for k, x in new.items()}, (
        t + 1,
        {k: x[1] for k, x in new.items()},
        {k: x[2] for k, x in new.items()},
    )


def sgd_step(params: dict, slopes: dict, state: tuple, lr: float) -> tuple[dict, tuple]:
    """All parameters, once."""
    return {k: params[k] - lr * slopes[k] for k in params}, state


class Library(Base):
    """See `library.Library`."""

    m, np, nn, F = jnp, jnp, NN, F

    def __init__(self, compiled: bool):
        super().__init__(compiled)
        # Parameters and other arrays of each model; by itself and not its id, which the next row's may have.
        self.held: WeakKeyDictionary[Module, tuple[dict, dict]] = WeakKeyDictionary()

    def tensor(self, array: np.ndarray) -> Any:
        return jnp.asarray(array)

    def fixed(self, x: Any) -> Any:
        return lax.stop_gradient(x)

    def wide(self, arrays: Sequence[np.ndarray]) -> None:
        """Allow float64 where it is given."""
        jax.config.update("jax_enable_x64", any(np.asarray(a).dtype == np.float64 for a in arrays))

    def call(self, f: Callable, arrays: Sequence[np.ndarray]) -> Step:
        self.wide(arrays)
        tensors, run = [jnp.asarray(a) for a in arrays], jax.jit(lambda *ts: f(self, *ts))
        return lambda: jax.block_until_ready(run(*tensors))

    def slopes(self, f: Callable, arrays: Sequence[np.ndarray], wanted: int) -> Step:
        self.wide(arrays)
        first = lambda y: y[0] if isinstance(y, (tuple, list)) else y
        tensors = [jnp.asarray(a) for a in arrays]
        y = jax.eval_shape(lambda *ts: first(f(self, *ts)), *tensors)
        g = jnp.asarray(cotangent(y.shape, y.dtype))

        @jax.jit
        def run(g: Any, *ts: Any) -> tuple:
            y, back = jax.vjp(lambda *some: first(f(self, *some, *ts[wanted:])), *ts[:wanted])
            return y, *back(g)

        return lambda: jax.block_until_ready(run(g, *tensors))

    def derivative(self, kind: str, f: Callable, *arrays: np.ndarray) -> Step:
        self.wide(arrays)
        tensors = [jnp.asarray(a) for a in arrays]
        if kind == "hvp":
            run = lambda x, v: jax.jvp(jax.grad(lambda x: f(jnp, x)), (x,), (v,))[1]
        else:
            change = {"grad": jax.grad, "hessian": jax.hessian, "jacobian": jax.jacrev}[kind]
            run = lambda x, *rest: change(lambda x: f(jnp, x, *rest))(x)
        run = jax.jit(run)
        return lambda: jax.block_until_ready(run(*tensors))

    def hold(self, model: Module) -> None:
        """Load a model, and keep its arrays."""
        layers.load(model)
        on_device = lambda arrays: {name: jnp.array(a) for name, a in arrays.items()}
        self.held[model] = on_device(layers.read(model, True)), on_device(layers.read(model, False))

    def trainer(self, model: Any, loss: Callable, optimizer: str, beside: Sequence = (), lr: float = 1e-3) -> Callable:
        models, update = [model, *beside], {"Adam": adam_step, "SGD": sgd_step}[optimizer]
        for each in models:
            if each not in self.held:
                self.hold(each)

        @partial(jax.jit, donate_argnums=(0, 1))
        def run(params: dict, state: tuple, others: list, fixed: list, *batch: Any) -> tuple:
            def value(params: dict) -> tuple:
                for each, mine, rest in zip(models, [params, *others], fixed):
                    layers.write(each, mine | rest)
                return loss(*batch), [layers.read(each, False) for each in models]

            (found, changed), slopes = jax.value_and_grad(value, has_aux=True)(params)
            return *update(params, slopes, state, lr), changed, found

        like = lambda: {k: jnp.zeros_like(p) for k, p in self.held[model][0].items()}
        state = jnp.float32(1), *((like(), like()) if optimizer == "Adam" else ({}, {}))

        def step(*batch: Any) -> Any:
            nonlocal state
            held = [self.held[each] for each in models]
            mine, state, changed, found = run(held[0][0], state, [p for p, _ in held[1:]], [b for _, b in held], *batch)
            parameters = [mine, *(p for p, _ in held[1:])]
            self.held |= {each: (p, b) for each, p, b in zip(models, parameters, changed)}
            return jax.block_until_ready(found)

        return step
