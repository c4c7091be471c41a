"""Measurements: the same work here and in other libraries, in turn, its results compared first: `python -m benchmarks`.

rows.py                     what a row is; suites/ declares them
peers/                      what each library is asked through, a file for each
method.py                   who is measured when, and what may be said of the figures
worker.py, process.py       the process that does rows in one way, from inside and from outside
runner.py                   rows, one after another
machine.py, against.py      the machine and its peaks; another revision beside this tree
results.py, views.py        files of results; what they say
text.py, html.py, charts.py, png.py, readme.py    whoever shows it
accuracy.py, thresholds.py, threads.py, adjoints.py, minima.py    other measurements: errors, sizes, threads, ...
"""
