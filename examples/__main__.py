"""The gallery: `python -m examples` lists it, `python -m examples NAME` runs one; `--help` after a name says more.

`python -m examples record [NAME...]` runs scripts and writes what came out into the table of README.md.
"""

import ast
import importlib
import json
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import autograd_core as ag
from nn import FileError
from nn.train import Settings

FOLDER = Path(__file__).parent
RESULTS, TABLE = FOLDER / "results", FOLDER / "README.md"
NAMES = {"ROWS", "DATA", "PRINTED", "EPOCHS"}  # what a script of the gallery says of itself
HEAD = """# Gallery

`python -m examples NAME` runs one; `--help` after the name says what can be set.  This table is written by
`python -m examples record`.  [Training](../docs/training.md) says how data are found; "rows" are the systems' numbers in
the list of what the five books build.

| example | data | in the book | here | seconds | rows |
| --- | --- | --- | --- | --- | --- |
"""

SECONDS = """Seconds are the clock's; in brackets those of processors, which say more where a machine was shared with other
work.  Machines:"""


def described(path: Path) -> dict | None:
    """What a script says of itself, without running it; None for one that is not of the gallery."""
    tree = ast.parse(path.read_text())
    found = {"NAME": path.stem, "TEXT": ast.get_docstring(tree)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, values = (getattr(side, "elts", [side]) for side in (node.targets[0], node.value))
            pairs = [(t.id, v) for t, v in zip(targets, values) if getattr(t, "id", None) in NAMES]
            found |= {name: ast.literal_eval(value) for name, value in pairs}
    return found if found.keys() >= NAMES else None


def gallery() -> dict[str, dict]:
    """All scripts of the gallery by name."""
    found = [described(path) for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("_")]
    return {one["NAME"]: one for one in found if one}


def listed(scripts: dict[str, dict]) -> str:
    """A line for each script."""
    width = max(map(len, scripts))
    lines = [f"  {name:{width}}  {one['TEXT'].splitlines()[0]}" for name, one in scripts.items()]
    return "python -m examples NAME [--quick] [--epochs N] [--data DIR] [--plot FILE] ...\n\n" + "\n".join(lines)


def run(one: dict, arguments: list[str]) -> dict:
    """Run a script and show what came out beside what is printed in the book."""
    text = f"{one['TEXT']}\n\ndata: {one['DATA']}; printed: {one['PRINTED']}; rows {one['ROWS']}"
    settings = Settings.parse(arguments, program=f"python -m examples {one['NAME']}", text=text, epochs=one["EPOCHS"])
    print(one["TEXT"].splitlines()[0])
    started, worked = time.perf_counter(), time.process_time()
    settings.begin()
    result = importlib.import_module(f"examples.{one['NAME']}").main(settings)
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(f"here: {worded(result)}, {seconds:.0f} s" + (" (quick: a little of the data)" if settings.quick else ""))
    print(f"book: {one['PRINTED']} (row {one['ROWS']})")
    told = {"epochs": settings.epochs, "seed": settings.seed, "machine": machine()}
    return {"result": result, "seconds": round(seconds), "processor seconds": round(processor), **told}


def worded(result: dict) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in result.items())


def machine() -> str:
    """What the processor calls itself, and how many threads are used of it."""
    try:
        name = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()).group(1)
    except (OSError, AttributeError):
        name = platform.processor() or platform.machine()
    return f"{name}, {ag.get_num_threads()} threads"


def revision() -> str | None:
    """The commit that is run, marked if files differ from it; None where it is not known."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() or None


def record(scripts: dict[str, dict], names: list[str]) -> None:
    """Run scripts as they are meant to be run and keep what came out for the table; one that was killed goes on."""
    RESULTS.mkdir(exist_ok=True)
    for name in names or scripts:
        told = {"broken off": any(RESULTS.glob(f"{name}.run*")), "revision": revision()}
        came = run(scripts[name], ["--checkpoint", str(RESULTS / f"{name}.run"), "--resume"])
        (RESULTS / f"{name}.json").write_text(json.dumps(came | told, indent=1) + "\n")
        TABLE.write_text(table(scripts))
        for path in RESULTS.glob(f"{name}.run*"):
            path.unlink()


def table(scripts: dict[str, dict]) -> str:
    """The gallery as a document, from what scripts say and what was recorded."""
    found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    lines = []
    for name, one in scripts.items():
        here = found.get(name)
        cells = [worded(here["result"]), took(here)] if here else ["not recorded", ""]
        first = f"[{name}]({name}.py): {one['TEXT'].splitlines()[0]}"
        lines.append(f"| {' | '.join([first, one['DATA'], one['PRINTED'], *cells, one['ROWS']])} |")
    machines = "; ".join(sorted({one["machine"] for one in found.values()}))
    return HEAD + "\n".join(lines) + (f"\n\n{SECONDS} {machines}.\n" if machines else "\n")


def took(here: dict) -> str:
    """Seconds by the clock and, where they are known, of processors; of the last part of a run that was broken off."""
    processor = here.get("processor seconds")
    seconds = f"{'more than ' if here.get('broken off') else ''}{here['seconds']}"
    return seconds + (f" ({processor})" if processor is not None else "")


def main(arguments: list[str]) -> int:
    scripts = gallery()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(listed(scripts))
        return 0
    command, *rest = arguments
    unknown = [name for name in (rest if command == "record" else [command]) if name not in scripts]
    if unknown:
        print(f"there is no example {unknown[0]!r}\n\n{listed(scripts)}", file=sys.stderr)
        return 2
    try:
        record(scripts, rest) if command == "record" else run(scripts[command], rest)
    except ModuleNotFoundError as error:
        print(f"{error}: pip install 'autograd-core[examples]'", file=sys.stderr)
        return 1
    except (OSError, FileError, ImportError) as error:  # what the reader can put right
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
