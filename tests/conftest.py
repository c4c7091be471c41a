"""How hypothesis searches: briefly by default, reproducibly under CI, at length with HYPOTHESIS_PROFILE=thorough.

What a test records with `record_property` is printed at the end of the run, whichever process the test ran in.
"""

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


def pytest_terminal_summary(terminalreporter):
    """Print the figures that tests recorded: reports carry them between processes, output would be lost."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind if getattr(r, "when", "") == "call"]
    for name, value in (item for report in reports for item in report.user_properties):
        terminalreporter.write_line(f"{name}: {value}")
