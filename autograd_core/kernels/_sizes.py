"""From how many entries on compiled kernels are used, and how many make a chunk: measured, all in one place.

`python -m benchmarks.thresholds` measures them again.  Results depend on these numbers (NumPy and a kernel may round
differently, sums are made chunk by chunk), hence they are the same on every machine.
"""

LEAST = {}  # entries, by the name of the choice; where none is given, any number will do

CHUNK = 1 << 15  # entries that a thread takes at a time where each costs little: half of the nearest cache, in float32
