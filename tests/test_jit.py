"""How kernels are made: nothing too early, each in a file on disk, nothing out of date, a mode without compiling."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_core.kernels import _jit
from autograd_core.kernels._jit import CHOICES, COMPILED, KERNELS, choice, inline, kernel, plain

compiled = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
owned = pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")


@inline
def half(x):
    return x * 0.5


@kernel
def halve(x, out):
    """Halves."""
    for i in range(len(x)):
        out[i] = half(x[i])


@kernel(chunks=True)
def names_like_those_inside(begin, end, pool, count, grain, kernel):
    for i in range(begin, end):
        kernel[i] = pool + count + grain


def test_a_kernel_stays_what_it_is_when_it_is_built():
    by_name, out = halve, np.empty(3)
    halve(np.arange(3.0), out)
    assert out.tolist() == [0, 0.5, 1] and halve is by_name is KERNELS["test_jit.halve"]
    assert halve.build() is halve and half(3.0) == 1.5
    assert repr(halve) == "<kernel test_jit.halve>" and halve.__doc__ == "Halves." and halve.__name__ == "halve"
    assert pickle.loads(pickle.dumps(halve)) is halve


@kernel
def added(a, b):
    return a + b


@kernel
def added_often(x):
    return added(x, 0) + added(x, 1) + added(0, x) + added(x, 1 + x)


@compiled
def test_a_part_is_compiled_once_whatever_numbers_are_written_in_calls():
    assert added_often(3) == 17 and len(added.part.overloads) == 1


def test_names_of_parameters_are_free():
    out = np.zeros(5)
    names_like_those_inside(5, 2, 100, 10, 1, out)
    assert (out == 111).all()


@pytest.mark.parametrize(
    "declare", [lambda: kernel(lambda x: x), lambda: kernel(halve.fn), lambda: kernel(halve.fn, name="halve")]
)
def test_a_name_is_given_once(declare):
    with pytest.raises(ValueError, match="kernel test_jit.*: give it a name=... of its own"):
        declare()


def test_a_kernel_that_two_threads_make_at_once_is_one():
    from autograd_core.kernels import elementwise

    program = elementwise.program("exp", (True,))
    assert elementwise.loop.__wrapped__(program) is elementwise.loop(program)


def made_by(a, b):
    return [kernel(fn, name=name) for fn, name in ((lambda x: x + a, "plus_a"), (lambda x: x + b, "plus_b"))]


def test_what_a_kernel_closes_over_is_its_own():
    first, second = made_by(1, 2)
    assert (first(10), second(10)) == (11, 12)


def test_a_choice_depends_on_size_alone(monkeypatch):
    monkeypatch.setitem(_jit.LEAST, "test_jit.chosen", 5)

    def reference(x, shift=0):
        return "reference", shift

    @choice(reference, sample=None)
    def chosen(x, shift=0):
        return "compiled", shift

    usual = "compiled" if COMPILED else "reference"
    assert chosen(np.zeros(4), shift=1) == ("reference", 1) and chosen(np.zeros((5, 1)), 2) == (usual, 2)
    assert chosen.compiled(np.zeros(1)) == ("compiled", 0) and chosen.reference is reference
    assert CHOICES.pop("test_jit.chosen") is chosen and chosen.__name__ == "chosen"


def test_a_choice_may_say_what_its_size_is():
    @choice(lambda x, n: "reference", sample=None, size=lambda x, n: n)
    def counted(x, n):
        return "compiled"

    assert counted(None, 3) == ("compiled" if COMPILED else "reference")
    del CHOICES["test_jit.counted"]


steps = st.sampled_from([1, -1, 2, -3])


@given(st.integers(0, 4), st.integers(0, 4), steps, steps, st.booleans(), st.booleans(), st.sampled_from("fd"))
def test_plain_arrays(n, m, i, j, turned, locked, char):
    x = np.arange(12.0 * 12, dtype=char).reshape(12, 12)[: n * abs(i) : i, : m * abs(j) : j]
    x = x.T if turned else x
    x.flags.writeable = not locked
    y = plain(x)
    assert y.flags.carray and y.dtype == x.dtype and np.array_equal(x, y)
    assert np.shares_memory(x, y) == (x.flags.c_contiguous and x.size > 0)


@pytest.mark.parametrize("x", [np.arange(3.0).astype(">f8"), np.broadcast_to(2.0, (3, 2)), np.float32(3)])
def test_plain_arrays_of_other_layouts(x):
    y = plain(np.asarray(x))
    assert y.flags.carray and y.dtype.isnative and np.array_equal(x, y)


def test_an_array_at_an_odd_address_is_copied():
    x = np.zeros(17, np.uint8)[1:].view(np.float64)
    assert plain(x).flags.aligned and not np.shares_memory(plain(x), x)


def test_without_compiling_kernels_are_python(warm_ground):
    code = """if True:
        import sys
        import numpy as np
        from autograd_core.kernels import probe, _jit
        x, out = np.arange(10.0), np.zeros(10)
        probe.mix(10, 4, x, out)
        assert (out == 2 * x + np.arange(10) // 4 * 4).all() and probe.total(x) == 45
        assert "numba" not in sys.modules and not _jit.COMPILED
        """
    warm_ground.run("-c", code, NUMBA_DISABLE_JIT="1")


# --- on disk ----------------------------------------------------------------------------------------------------------

USE = """if True:
    import numpy as np
    from autograd_core.kernels import probe, _cache
    import numba.core.compiler
    compiled, compile_extra = [], numba.core.compiler.compile_extra
    def counting(context, target, fn, *rest, **options):
        compiled.append(fn.__name__)
        return compile_extra(context, target, fn, *rest, **options)
    numba.core.compiler.compile_extra = counting
    from autograd_core.kernels import _entries
    code = _entries.compiled
    def counting_too(name, *rest, **how):
        compiled.append(name.rpartition(".")[2])
        return code(name, *rest, **how)
    _entries.compiled = counting_too
    x, out = np.arange(1000.0), np.zeros(1000)
    probe.mix(1000, 10, x, out)
    assert (out == 2 * x + np.arange(1000) // 10 * 10).all()
    assert probe.total(x) == 499500
    probe.triple(x, out), np.testing.assert_array_equal(out, 3 * x)
    probe.tenfold(x, out), np.testing.assert_array_equal(out, 10 * x)
    print(*sorted(set(compiled) & {"mix", "launch", "total", "times", "twice", "pool"}))
    """
ALL = "launch mix pool times total\n"  # and not `twice`, which is written into `mix`


def test_what_was_compiled_is_found_again(ground):
    assert ground.run("-c", USE) == ALL
    kept = ground.kept()
    assert {f.name.rpartition("-")[0] for f in kept} >= {
        "probe.mix.part",
        "probe.total",
        "probe.times_3",
        "probe.mix.launch",
    }
    assert ground.run("-c", USE) == "\n" and ground.kept() == kept
    assert all(f.stat().st_mode & 0o077 == 0 for f in kept)


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_damaged_file_is_compiled_again(warm_ground, cut):
    warm_ground.run("-c", USE)
    for path in warm_ground.kept():
        if path.name.startswith(("probe.total-", "probe.times_3-")):
            content = path.read_bytes()
            path.write_bytes(content[:cut] + b"damaged" if path.name.startswith("probe.total") else content[:-1] + b"?")
    assert warm_ground.run("-c", USE) == "times total\n"
    assert warm_ground.run("-c", USE) == "\n"


def test_another_source_is_compiled_anew_and_old_code_is_thrown_away_in_time(ground):
    ground.run("-c", USE)
    (old,) = ground.cache.iterdir()
    probe = ground.kernels / "probe.py"
    probe.write_text(probe.read_text().replace("return x + x", "return 2 * x"))
    assert ground.run("-c", USE) == ALL
    (new,) = set(ground.cache.iterdir()) - {old}
    long_ago = time.time() - 30 * 86400
    os.utime(old, (long_ago, long_ago))
    os.utime(new, (long_ago, long_ago))
    assert ground.run("-c", USE) == "\n" and new.stat().st_mtime > long_ago, "whoever uses a folder keeps it"
    (ground.cache / "something else").touch()
    probe.write_text(probe.read_text() + "\n")
    ground.run("-c", USE)
    assert not old.exists() and new.exists() and (ground.cache / "something else").exists()


def test_sources_that_change_while_they_run_are_not_kept(ground):
    change = f"import os, time; os.utime({str(ground.kernels / 'probe.py')!r}, (time.time() + 9, time.time() + 9))\n"
    assert (
        ground.run("-c", "from autograd_core.kernels import probe\n" + change + USE.replace("if True:", "if 1:")) == ALL
    )
    assert not ground.kept()


@pytest.mark.parametrize("variable", ["AUTOGRAD_CORE_CACHE", "XDG_CACHE_HOME", "HOME"])
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these systems have other places")
def test_where_it_lies(ground, variable):
    below = {"AUTOGRAD_CORE_CACHE": "", "XDG_CACHE_HOME": "autograd_core", "HOME": ".cache/autograd_core"}[variable]
    code = "from autograd_core.kernels import _cache; print(_cache.folders()[0].parent)"
    unset = dict.fromkeys(["AUTOGRAD_CORE_CACHE", "XDG_CACHE_HOME", "HOME"])
    place = ground.folder / "a place"
    assert ground.run("-c", code, **unset | {variable: str(place)}) == f"{place / below}\n"
    assert place.is_dir()


ONE = "import numpy as np\nfrom autograd_core.kernels import probe\nassert probe.total(np.ones(5)) == 5\n"


@owned
@pytest.mark.parametrize("trouble", ["a file", "no home", "read-only", "somebody else's", "open to all"])
def test_where_it_lies_in_trouble(ground, trouble):
    spare, home, code = ground.folder / "tmp", ground.folder / "home", ONE
    spare.mkdir()
    home.mkdir()
    environment = {"TMPDIR": str(spare), "AUTOGRAD_CORE_CACHE": str(home)}
    if trouble == "a file":
        home.rmdir()
        home.touch()
    elif trouble == "no home":
        environment |= {"AUTOGRAD_CORE_CACHE": None, "XDG_CACHE_HOME": None, "HOME": None}
        code = "import pathlib\ndef none(): raise RuntimeError\npathlib.Path.home = none\n" + ONE
    elif trouble == "read-only":  # also for the administrator, whom the system lets write anywhere
        refused = f"def refused(p, *a, **o):\n  if {str(home)!r} in str(p): raise OSError\n  return mkdir(p, *a, **o)\n"
        code = f"import os\nmkdir = os.mkdir\n{refused}os.mkdir = refused\n" + ONE
    elif trouble == "somebody else's":
        if os.getuid():
            pytest.skip("only the administrator can give folders away")
        os.chown(home, 12345, -1)
    elif trouble == "open to all":
        home.chmod(0o777)
    ground.run("-c", code, **environment)
    assert list(spare.glob("autograd_core-*/*/probe.total-*")) and not list(ground.folder.glob("home/*/*"))


@owned
def test_no_place_at_all(ground):
    (ground.folder / "file").touch()
    nowhere = {"AUTOGRAD_CORE_CACHE": str(ground.folder / "file"), "TMPDIR": str(ground.folder / "file")}
    ground.run("-c", "import os\ndef no(*a, **o): raise OSError\nos.mkdir = no\n" + ONE, **nowhere)


@owned
def test_a_read_only_installation_with_a_cache_that_was_filled_before(ground):
    ground.run("-c", USE)
    kept = ground.kept()
    folders = [ground.kernels, *ground.cache.iterdir(), ground.cache]
    refuse = "import os\naccess = os.access\nos.access = lambda p, mode: mode == os.R_OK and access(p, mode)\n"
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert ground.run("-c", refuse + USE, TMPDIR=str(ground.folder)) == "\n"
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert ground.kept() == kept


def finish(process: subprocess.Popen) -> str:
    with process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and not err, err
    return out


def test_processes_that_start_together_on_an_empty_cache(ground):
    code = USE + "print(hash(out.tobytes() + probe.total(x).hex().encode()))\n"
    together = [ground.start("-c", code, PYTHONHASHSEED="0") for _ in range(6)]
    found = {finish(process).splitlines()[-1] for process in together}
    assert len(found) == 1 and finish(ground.start("-c", USE)) == "\n"
    assert not [f for f in ground.kept() if f.suffix != ".bin"], "nothing half-written is left"


@compiled
def test_a_compiled_kernel_from_disk_is_what_was_compiled(ground):
    code = """if True:
        import numpy as np
        from autograd_core.kernels import probe
        probe.total(np.ones(3))
        print(len(probe.total.func.overloads))
        probe.total(np.ones(3, "f"))  # compiled, beside one that was loaded
        probe.total(np.ones(3))
        print(len(probe.total.func.overloads))
        """
    assert ground.run("-c", code) == ground.run("-c", code) == "1\n2\n"
