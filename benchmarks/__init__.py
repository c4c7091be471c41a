"""Measurements: paired, interleaved, medians with their spread.  `python -m benchmarks.overhead` is the first."""
