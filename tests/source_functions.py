"""Functions for source transformation to differentiate: each has something that is easy to get wrong."""
# ruff: noqa: B007 - loops count turns

import math

import numpy as np


def shadowed(x):
    x = np.sum(x * x)
    x = x + 1.0
    return x * x


def alias(x):
    y = x
    z = y[1:]
    z[0] = z[1] * 3.0
    y[2] = y[1] * z[0]
    return np.sum(x * x)


def writes_arg(x, w):
    for i in range(1, len(x)):
        x[i] += w * x[i - 1]
    return x[-1]


def step(a, i, w):
    a[i] = a[i - 1] * w + a[i]


def calls_step(x, w):
    y = x.copy()
    for i in range(1, len(y)):
        step(y, i, w)
    return np.sum(y**2)


def pair(a, b=2.0):
    return a * b, np.sin(a) + b


def uses_pair(x):
    p, q = pair(x)
    r, s = pair(p, b=q)
    return r * s - p


def collatz(x, n):
    t = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        t += 1
        x = x * 0.9 + 0.1 * math.sin(x * t)
    return x


def find(x, limit):
    s = 0.0
    for i in range(len(x)):
        s += x[i] ** 2
        if s > limit:
            return s * x[i]
    return -s


def matvec(A, x):
    y = A @ x
    for _ in range(3):
        y = np.tanh(A @ y) + x
    return np.dot(y, y)


def edit(s, t, c):  # dynamic programme
    n, m = len(s), len(t)
    D = np.zeros((n + 1, m + 1))
    for i in range(1, n + 1):
        D[i, 0] = i * c
    for j in range(1, m + 1):
        D[0, j] = j * c
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            d = (s[i - 1] - t[j - 1]) ** 2
            D[i, j] = min(min(D[i - 1, j] + c, D[i, j - 1] + c), D[i - 1, j - 1] + d)
    return D[n, m]


TABLE = np.array([0.5, 1.5, 2.5])
SCALE = 2.0


def glob(x):
    s = 0.0
    for i, t in enumerate(TABLE):
        s += SCALE * t * x**i
    return s


def mk(k):
    def inner(x):
        return x**2 * k

    return inner


def meth(x):
    return x.sum() * x.mean() + x.max() * x.min() + x.T.sum() ** 2 + np.prod(x) + x.cumsum()[1] ** 2


def two_d(A):
    s = 0.0
    for row in A:
        s += np.sum(row * row) * row[0]
    B = A.T
    B[0, 1] = 5.0 * A[1, 1]
    m = np.mean(A, axis=0)
    return s + np.sum(m**3) + np.sum(np.sum(A * A, axis=1) * A[:, 0])


def bcast(x, y):
    z = x.reshape(3, 1) * y + y * 0.5
    return np.sum(z * z)


def clipy(x):
    return np.sum(np.where(x > 0, np.log(x), 0.0)) + np.sum(np.clip(x, -0.5, 0.5) * x) + np.sum(np.maximum(x, 0.1) ** 2)


def nan_branch(x):
    if x > 0:
        y = math.log(x)
    else:
        y = 0.0
    return y + (math.sqrt(x) if x > 0 else x)


def ints(x, n):
    k = 0
    s = 0.0
    for i in range(n):
        k = (k * 3 + i) % 5
        s += x**k * k
        for j in range(k):
            s = s * 0.9 + x * j
    return s


def zero(x, n):
    for i in range(n):
        x = x * x
    for j in range(5, n):
        x = x * 3
    return x


def uloop(x, n):
    for i in range(n):
        x = x * 1.1
    y = x * i
    for i in range(3):
        y = y * x + i
        i = i + 1
        y += i
    return y + i * x


def ack(x, n):
    if n <= 0:
        return x
    y = ack(x * 1.01, n - 1)
    return y * x + ack(y * 0.1, n - 2)


def even(x, n):
    if n == 0:
        return x * x
    return odd(x * 1.5, n - 1)


def odd(x, n):
    if n == 0:
        return np.sin(x)
    return even(x + 0.5, n - 1) * x


def loga(x):
    return (
        math.lgamma(x)
        + math.erf(x) * math.pow(x, 1.5)
        + math.hypot(x, 2.0)
        + abs(-x)
        + max(x, 0.3)
        + min(x, 2.0)
        + float(x) ** 2
        + x % 0.4
        + 2.0**x
        + np.pi * x
    )


def arr_lit(x):
    v = np.array([x, x * x, 1.0])
    M = np.array([[x, 1.0], [2.0, x * x]])
    w = np.concatenate((v, M[0]))
    return np.linalg.norm(w) + np.sum(np.outer(v, v)) + M[1, 1]


def arr_loop(x):
    y = x * 1.0
    for i in range(3):
        t = y * x
        y = np.sin(t) + t[::-1]
        y[i] *= 2.0
        y /= 1.5
        y -= x
    return np.sum(y**2)


def fill(out, x):
    for i in range(len(out)):
        out[i] = x**i


def buf(x):
    o = np.zeros(4)
    fill(o, x)
    fill(o[1:], x * x)
    return np.sum(o * o)


def ret_arr(x):
    y = x * 2.0
    return y


def use_arr(x):
    y = ret_arr(x)
    y[0] = y[1] * x[2]
    y = ret_arr(y * x)
    return np.sum(y)


def view_back(x):
    return x[1:]


def use_view(x):
    y = x.copy()
    v = view_back(y)
    v[0] = v[1] * y[0]
    return np.sum(y**2)


def swap(x, n):
    a, b = x, 1.0
    u = np.ones(3) * x
    v = np.zeros(3)
    for i in range(n):
        a, b = b + a * 0.5, a * b
        u, v = v + u * a, u
        u[0], u[1] = u[1], u[0] * 2
    return a * b + np.sum(u * v)


def chained(x):
    a = b = x * 2.0
    a += b
    return a * b


def in_test(x, n):
    s = 1.0
    while s < 50.0 and n > 0:
        s = s * x + 1.0
        n -= 1
    return s


def rev(x, n):
    s = 0.0
    for i in range(n - 1, -1, -2):
        s = s * x[i] + x[i]
    for i in range(1, n, 3):
        s += x[i] * s
    return s


def stepped(x, n, k):
    s = 0.0
    for i in range(0, n, k):
        n = n - 1
        s = s * x + x * i
    return s


def newton(c):
    x = c
    for it in range(50):
        d = (x * x - c) / (2 * x)
        x = x - d
        if abs(d) < 1e-12:
            break
    return x


def boolvar(x):
    flag = x > 0.5
    ok = flag and x < 2
    y = x * x if ok else -x
    if not flag:
        y = y * 3
    return y


def emptyret(out, x):
    if x < 0:
        return
    out[0] = x * x


def useempty(x):
    o = np.ones(2)
    emptyret(o, x)
    emptyret(o, -x)
    return o[0] * o[1] * x


def out_of_loops(x, n):
    total = 0.0
    for i in range(n):
        for j in range(n):
            if j > i:
                continue
            if total > 4.0:
                break
            if x * j > 3.0:
                return total * x
            total += x * (i - j) + np.sin(total)
        else_ = total
        total = total * 0.9 + else_ * 0.05
    return total


def nested_exits(x, n):
    for i in range(n):
        if x > 0:
            if i == 1:
                continue
            elif i == 3:
                x = x * 1.5
                break
            x = x * 1.1
        x = x + 0.01
    return x


def strided(x):
    x = x.copy()
    x[::2] = x[1::2] * 2.0
    x[-1] = x[0] * x[-2]
    x[1:] += x[:-1] * x[1:]
    x[:2] *= x[2:]
    return np.sum(x**2)


def whole_rows(A):
    B = A.copy()
    for i in range(1, len(B)):
        B[i] = B[i - 1] * B[i] + i
        B[i, 0] = B[i, 1] * 2.0
    return np.sum(B[:, 0] * B[:, 1]) + B[-1, -1] ** 2


def annotated(x: float, scale: float = 2.0) -> float:
    """With annotations, and a docstring."""
    y: float = x * scale
    assert y > 0, "positive"
    pass
    return y**2


def zipped(x, y):
    s = 0.0
    for a, b in zip(x, y):
        s = s * a + b * b
    return s


def names(x, n):
    reals, wholes, others, g1, t1, kept1 = x, 1, x * 2, x, 3.0, x
    seed1, value1, x_bar = x * x, 2.0, x
    for i in range(n):
        reals = reals * x + np.sin(np.exp(reals)) * others
        if reals > 3:
            break
        wholes = wholes + 1
        kept1 = kept1 * reals + g1 * t1 * seed1 * value1
        seed1 = squared(seed1, kept1) * x_bar
    return reals * wholes * kept1 * seed1


def squared(reals, wholes):
    reals = reals * wholes
    return reals * reals
