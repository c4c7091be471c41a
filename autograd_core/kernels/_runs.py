"""Runs of entries that lie in order, moved by the system's own copy: of a few entries a loop would take as long to begin.

Imports Numba, and is itself imported when the first kernel that names it is built.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def move(typingctx, x, i, out, j, count):
    """So many entries of x from i on become those of out, which lies elsewhere, from j on."""

    def generate(context, builder, sig, args):
        x, i, out, j, count = args
        source = builder.gep(make_array(sig.args[0])(context, builder, x).data, [i])
        target = builder.gep(make_array(sig.args[2])(context, builder, out).data, [j])
        cgutils.memcpy(builder, target, source, count)
        return context.get_dummy_value()

    return types.void(x, types.intp, out, types.intp, types.intp), generate
