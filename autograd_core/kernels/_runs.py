"""Runs of entries that lie in order, moved by two vectors if they fit, that may overlap, else by the system's own copy.

Of a few entries a loop would take as long to begin, and to call that copy as long as to move them.

Imports Numba, and is itself imported when the first kernel that names it is built.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

WIDTHS = 4, 8, 16, 32, 64  # bytes of vectors


def by_widths(builder, source, target, count, widths, size) -> None:
    """Move by the narrowest vectors of which two will do."""
    if not widths:
        cgutils.memcpy(builder, target, source, count)
        return
    least, most = widths[0] // size, 2 * widths[0] // size
    fits = builder.icmp_unsigned("<=", builder.sub(count, count.type(least)), count.type(most - least))
    with builder.if_else(fits) as (then, otherwise):
        with then:
            vector = ir.VectorType(ir.IntType(8), widths[0]).as_pointer()
            last = builder.sub(count, count.type(least))
            ends = [[p, builder.gep(p, [last])] for p in (source, target)]
            values = [builder.load(builder.bitcast(p, vector), align=1) for p in ends[0]]
            for p, value in zip(ends[1], values):
                builder.store(value, builder.bitcast(p, vector), align=1)
        with otherwise:
            by_widths(builder, source, target, count, widths[1:], size)


@intrinsic
def move(typingctx, x, i, out, j, count):
    """So many entries of x from i on become those of out, which lies elsewhere, from j on."""

    def generate(context, builder, sig, args):
        x, i, out, j, count = args
        source = builder.gep(make_array(sig.args[0])(context, builder, x).data, [i])
        target = builder.gep(make_array(sig.args[2])(context, builder, out).data, [j])
        size = context.get_abi_sizeof(context.get_data_type(sig.args[0].dtype))
        by_widths(builder, source, target, count, [w for w in WIDTHS if w >= size], size)
        return context.get_dummy_value()

    return types.void(x, types.intp, out, types.intp, types.intp), generate
