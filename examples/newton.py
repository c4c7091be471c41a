"""Minimise Rosenbrock's function in many variables by Newton's method, from Hessian-vector products alone.

python examples/newton.py
"""

import numpy as np

import autograd_core as ag


def rosenbrock(x):
    """A curved valley; the least value, 0, is at (1, 1, ...)."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def newton_step(x, g):
    """Conjugate gradients on H p = -g, as far as the curvature is positive; H itself is never formed."""
    p, r = np.zeros_like(g), -g
    d = r.copy()
    while np.linalg.norm(r) > min(0.5, np.sqrt(np.linalg.norm(g))) * np.linalg.norm(g):
        hd = ag.hvp(rosenbrock, x, d)
        if d @ hd <= 0:
            return p if p.any() else -g
        a = r @ r / (d @ hd)
        p, before = p + a * d, r
        r = r - a * hd
        d = r + (r @ r) / (before @ before) * d
    return p


x = np.full(20, -1.0)
for iteration in range(200):
    value, g = ag.value_and_grad(rosenbrock)(x)
    if iteration % 10 == 0 or np.linalg.norm(g) < 1e-9:
        print(f"{iteration:3d}  f = {value:.3e}  |gradient| = {np.linalg.norm(g):.1e}")
    if np.linalg.norm(g) < 1e-9:
        break
    p, t = newton_step(x, g), 1.0
    while rosenbrock(x + t * p) > value + 1e-4 * t * (g @ p):
        t /= 2
    x = x + t * p

print(f"largest distance from the minimum: {np.max(np.abs(x - 1)):.1e}")
