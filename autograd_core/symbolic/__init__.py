"""Symbolic differentiation: expressions by tracing, derivatives from the ops' own rules, a simplifier, printers.

>>> from autograd_core import symbolic
>>> f = symbolic.trace(lambda x: 2 * x**3 + x**2)
>>> f.derivative("x")
6*x**2 + 2*x
"""

from .calculus import formula, steps, taylor
from .expression import Expression, functions, symbol, symbols, trace
from .simplify import RULES, Rule, simplify
from .swell import Swell, swell

__all__ = [
    "RULES", "Expression", "Rule", "Swell", "formula", "functions", "simplify", "steps", "swell", "symbol", "symbols", "taylor",
    "trace",
]  # fmt: skip
