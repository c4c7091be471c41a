"""Elementwise functions: each is declared by its partial derivatives."""

from __future__ import annotations

import numpy as np

from ..op import elementwise, predicate

# fmt: off
add      = elementwise(np.add, 1, 1)
sub      = elementwise(np.subtract, 1, -1, name="sub")
mul      = elementwise(np.multiply, lambda b: b, lambda a: a, name="mul")
div      = elementwise(np.true_divide, lambda b: 1 / b, lambda b, y: -y / b, name="div", domain=",nonzero", promotes="inexact")
neg      = elementwise(np.negative, -1, name="neg")
exp      = elementwise(np.exp, lambda y: y, promotes="inexact")
log      = elementwise(np.log, lambda x: 1 / x, domain="positive", promotes="inexact")
sin      = elementwise(np.sin, lambda x: cos(x), promotes="inexact")
cos      = elementwise(np.cos, lambda x: -sin(x), promotes="inexact")
tanh     = elementwise(np.tanh, lambda y: 1 - y * y, promotes="inexact")
sqrt     = elementwise(np.sqrt, lambda y: 0.5 / y, domain="positive", promotes="inexact")
gt       = predicate(np.greater, name="gt")
# fmt: on
