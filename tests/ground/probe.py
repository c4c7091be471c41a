"""Kernels to test the ground with: `conftest.ground` puts this file beside the real ones, in a package without ops."""

from ._jit import Late, inline, kernel

ticks, for_chunks = Late("_native", "ticks"), Late("_native", "for_chunks")


@inline
def twice(x):
    """2x, to be taken into loops."""
    return x + x


@kernel(chunks=True)
def mix(begin, end, x, out):
    """out (n) = 2 x (n) + the begin of the chunk."""
    for i in range(begin, end):
        out[i] = twice(x[i]) + begin


@kernel(chunks=True)
def linger(begin, end, time, out):
    """Spend so many ticks of the clock on every entry of out (n), and count it."""
    for i in range(begin, end):
        start = ticks()
        while ticks() - start < time:
            pass
        out[i] += 1


@kernel(chunks=True)
def outer(begin, end, pool, x, out):
    """A region of its own for each row of out (m, n)."""
    for i in range(begin, end):
        for_chunks(pool, mix, len(x), 16, (x, out[i]))


@kernel(chunks=True)
def careless(begin, end, x, out):
    """Raises in the chunk that starts at 0."""
    if begin == 0:
        raise ValueError
    for i in range(begin, end):
        out[i] = x[i]


@kernel
def total(x):
    """The sum of x (n)."""
    s = x.dtype.type(0)
    for i in range(len(x)):
        s += x[i]
    return s


def multiply_by(factor):
    """Kernels that differ in nothing but what they close over."""

    @kernel(name=f"times_{factor}")
    def times(x, out):
        for i in range(len(x)):
            out[i] = factor * x[i]

    return times


triple, tenfold = multiply_by(3), multiply_by(10)
