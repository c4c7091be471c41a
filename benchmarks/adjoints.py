"""Generated adjoints against adjoints written by hand, both compiled by Numba: `python -m benchmarks.adjoints`.

Three loops that users write: a differential equation stepped in time, a recurrence over an array, and a dynamic programme.
The two are timed in turn and the medians are compared: below 3 is what is asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np
from numba import njit

import autograd_core as ag

from . import method

fast = njit(error_model="numpy", nogil=True)


def predator_and_prey(x, y, a, b, dt, n):
    """Lotka and Volterra's equations, by the midpoint rule."""
    for _ in range(n):
        u = x + 0.5 * dt * x * (a - y)
        v = y + 0.5 * dt * y * (x - b)
        x = x + dt * u * (a - v)
        y = y + dt * v * (u - b)
    return x * y


@fast
def predator_and_prey_by_hand(x, y, a, b, dt, n):
    xs, ys = np.empty(n), np.empty(n)
    for i in range(n):
        xs[i], ys[i] = x, y
        u = x + 0.5 * dt * x * (a - y)
        v = y + 0.5 * dt * y * (x - b)
        x, y = x + dt * u * (a - v), y + dt * v * (u - b)
    value = x * y
    gx, gy, ga, gb = y, x, 0.0, 0.0
    for i in range(n - 1, -1, -1):
        x, y = xs[i], ys[i]
        u = x + 0.5 * dt * x * (a - y)
        v = y + 0.5 * dt * y * (x - b)
        gu = dt * ((a - v) * gx + v * gy)
        gv = dt * ((u - b) * gy - u * gx)
        ga += dt * u * gx + 0.5 * dt * x * gu
        gb -= dt * v * gy + 0.5 * dt * y * gv
        gx += gu * (1 + 0.5 * dt * (a - y)) + gv * 0.5 * dt * y
        gy += gv * (1 + 0.5 * dt * (x - b)) - gu * 0.5 * dt * x
    return value, gx, gy, ga, gb


def recurrence(x, w, r):
    """A recurrent network of one unit: the sum of its squared states."""
    h, total = 0.0, 0.0
    for t in range(len(x)):
        h = np.tanh(w * x[t] + r * h)
        total += h * h
    return total


@fast
def recurrence_by_hand(x, w, r):
    n = len(x)
    hs = np.empty(n + 1)
    hs[0], total = 0.0, 0.0
    for t in range(n):
        hs[t + 1] = np.tanh(w * x[t] + r * hs[t])
        total += hs[t + 1] ** 2
    gx, gw, gr, gh = np.zeros(n), 0.0, 0.0, 0.0
    for t in range(n - 1, -1, -1):
        h = hs[t + 1]
        g = (gh + 2 * h) * (1 - h * h)
        gx[t] = w * g
        gw += x[t] * g
        gr += hs[t] * g
        gh = r * g
    return total, gx, gw, gr


def alignment(x, y, gap):
    """The cheapest way to line two sequences up: what differs costs its square, what is left out a fixed price."""
    n, m = len(x), len(y)
    cost = np.zeros((n + 1, m + 1))
    for i in range(n + 1):
        for j in range(m + 1):
            if i == 0:
                cost[i, j] = j * gap
            elif j == 0:
                cost[i, j] = i * gap
            else:
                best = cost[i - 1, j - 1] + (x[i - 1] - y[j - 1]) ** 2
                best = min(best, cost[i - 1, j] + gap)
                best = min(best, cost[i, j - 1] + gap)
                cost[i, j] = best
    return cost[n, m]


@fast
def alignment_by_hand(x, y, gap):
    n, m = len(x), len(y)
    cost = np.zeros((n + 1, m + 1))
    for i in range(n + 1):
        cost[i, 0] = i * gap
    for j in range(m + 1):
        cost[0, j] = j * gap
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            best = cost[i - 1, j - 1] + (x[i - 1] - y[j - 1]) ** 2
            cost[i, j] = min(min(best, cost[i - 1, j] + gap), cost[i, j - 1] + gap)
    g, gx, gy, gg = np.zeros((n + 1, m + 1)), np.zeros(n), np.zeros(m), 0.0
    g[n, m] = 1.0
    for i in range(n, 0, -1):
        for j in range(m, 0, -1):
            s, d = g[i, j], x[i - 1] - y[j - 1]
            best = cost[i - 1, j - 1] + d**2
            up, left = cost[i - 1, j] + gap, cost[i, j - 1] + gap
            if left < min(best, up):
                g[i, j - 1] += s
                gg += s
            elif up < best:
                g[i - 1, j] += s
                gg += s
            else:
                g[i - 1, j - 1] += s
                gx[i - 1] += 2 * d * s
                gy[j - 1] -= 2 * d * s
    for i in range(1, n + 1):
        gg += g[i, 0] * i
    for j in range(1, m + 1):
        gg += g[0, j] * j
    return cost[n, m], gx, gy, gg


def pairs() -> Iterator[tuple[str, str, Callable, Callable, tuple, tuple[int, ...]]]:
    """A name, a size, the function, its adjoint by hand, arguments, and what gradients are of."""
    rng = np.random.default_rng(0)
    for n in (1_000, 100_000):
        arguments = (1.0, 0.5, 1.1, 0.9, 1e-3, n)
        yield "ODE", f"{n} steps", predator_and_prey, predator_and_prey_by_hand, arguments, (0, 1, 2, 3)
    for n in (1_000, 100_000):
        yield "recurrence", f"{n} steps", recurrence, recurrence_by_hand, (rng.normal(size=n), 0.7, 0.4), (0, 1, 2)
    for n in (50, 300):
        arguments = (rng.normal(size=n), rng.normal(size=n), 0.3)
        yield "dynamic programme", f"{n} x {n}", alignment, alignment_by_hand, arguments, (0, 1, 2)


def compared() -> Iterator[tuple[str, str, Callable, Callable]]:
    """Names, sizes and both sides, found to agree."""
    for name, size, f, by_hand, arguments, numbers in pairs():
        gradient = ag.source_grad(f, numbers)
        value, slopes = gradient.value_and_grad(*arguments)
        expected, *theirs = by_hand(*arguments)
        assert np.isclose(value, expected) and all(np.allclose(a, b) for a, b in zip(slopes, theirs)), name
        yield (
            name,
            size,
            lambda gradient=gradient, arguments=arguments: gradient.value_and_grad(*arguments),
            lambda by_hand=by_hand, arguments=arguments: by_hand(*arguments),
        )


def main(rounds: int = 30) -> None:
    """Print how many times as long generated adjoints take."""
    print(f"{'':18} {'':14} {'generated':>11} {'by hand':>11} {'ratio':>6}")
    for name, size, *sides in compared():
        times = method.pairs(sides, rounds)
        ours, theirs = map(statistics.median, times)
        ratio = method.compared(*times)["ratio"]
        print(f"{name:18} {size:14} {ours * 1e6:8.1f} µs {theirs * 1e6:8.1f} µs {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
