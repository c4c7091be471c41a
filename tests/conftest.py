"""How hypothesis searches: briefly by default, reproducibly under CI, at length with HYPOTHESIS_PROFILE=thorough."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes already use every core
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

from hypothesis import HealthCheck, settings

usual = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", usual)
settings.register_profile("ci", usual, derandomize=True)
settings.register_profile("thorough", usual, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "usual"))
