"""Minima of smooth functions and of sums of squares, by methods that use exact derivatives of first and second order.

`forms` lays a tree of arrays out as one vector, `objectives` evaluates and counts, `results` says what was found.  Each
method has a file of its own; those that go along lines share `descent` and the line searches in `lines`.
"""
