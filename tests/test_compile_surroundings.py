"""What a compiled function reads besides tensors, does besides computing, and is given besides arrays: right, or refused."""

import argparse
import array
import collections
import configparser
import contextlib
import contextvars
import copy
import cProfile
import ctypes
import datetime
import functools
import itertools
import operator
import os
import pathlib
import pickle
import queue
import random
import secrets
import sys
import threading
import time
import types
import uuid
import weakref
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core import CaptureError, compile
from autograd_core.compiled import codes, guards

ONE = ag.ones(1)


def value(y):
    return y.detach().numpy().tolist() if isinstance(y, ag.Tensor) else y


def follows(f, change, *args, calls=4):
    """A compiled function before and after a change beside it does what the function does."""
    run = compile(f)
    for _ in range(calls):
        assert value(run(*args)) == value(f(*args))
    assert run.cache_info().replays
    change()
    for _ in range(calls):
        assert value(run(*args)) == value(f(*args))
    return run


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arguments_that_are_no_numbers_are_not_copied_as_such():
    run = compile(lambda o, x: x * len(o))
    for n in (2, 4, 16, 64, 500):
        for o in (np.array(["s", None] * n, dtype=object), np.array(["text"] * n), np.zeros(n, [("a", int)])):
            for _ in range(4):
                assert value(run(o, ONE)) == [float(len(o))]
    matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    run = compile(lambda a: a * a)
    for _ in range(4):
        np.testing.assert_array_equal(run(matrix), matrix * matrix)
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    assert [compile(lambda a: a.sum())(masked) for _ in range(4)] == [1.0] * 4


def test_containers_of_classes_of_their_own_are_given_as_they_are():
    class Named(list):
        name = "n"

    given = Named([ONE])
    given.name = "given"
    run = compile(lambda xs: (xs[0] * 2, xs.name))
    assert [run(given)[1] for _ in range(4)] == ["given"] * 4
    rows = collections.defaultdict(list, a=[ONE])
    assert [value(compile(lambda d: d["a"][0] * 2)(rows)) for _ in range(3)] == [[2.0]] * 3
    run = compile(lambda d: next(iter(d)) is True)
    assert [run({k: ONE}) for k in (1, True, 1, True, 1, True)] == [False, True] * 3


@pytest.mark.parametrize(
    "f",
    [
        lambda s, x: s.update(w=s["w"] - x),
        lambda s, x: s["L"].append(x),
        lambda s, x: s.pop("w"),
        lambda s, x: s["L"].__setitem__(0, x),
    ],
)
def test_a_container_that_is_given_cannot_be_changed(f):
    with pytest.raises(CaptureError, match="a list or dict that was given is changed"):
        compile(f)({"w": ag.zeros(2), "L": [ag.ones(2)]}, ag.ones(2))


@pytest.mark.parametrize("part", [lambda p: p[:], lambda p: p.view(3, 1)[:, 0], lambda p: p[1:]])
def test_a_part_of_what_the_function_has_from_elsewhere(part):
    p = ag.ones(3)

    def f(a):
        a.mul_(2)
        return p + 0

    with pytest.raises(CaptureError, match="shares memory with an array that the function has from elsewhere"):
        compile(f)(part(p))


def test_numbers_that_are_others_each_time_are_not_watched_for_ever():
    run = compile(lambda x, k: x * k, cache_size=2)
    with pytest.warns(RuntimeWarning, match=r"was watched 8 times, and no run was like one before"):
        for k in range(20):
            assert value(run(ONE, k / 4)) == [k / 4]
    assert run.cache_info()[:3] == (0, 8, 12)
    for _ in range(4):
        assert value(run(ONE, 0.5)) == [0.5]
    assert run.cache_info().replays == 1


# --- values that leave -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * np.asarray(x).max(),
        lambda x: x * np.array(x)[0],
        lambda x: x * float(np.float32(x[0])),
        lambda x: x + np.full(2, x[0]),
        lambda x: x * copy.deepcopy(x),
        lambda x: x * pickle.loads(pickle.dumps(x)),
        lambda x: x * np.from_dlpack(x),
        lambda x: ag.bincount(x.to(ag.int64)),
    ],
)
def test_a_value_that_leaves_by_a_side_door(f):
    for given in (ag.ones(2), np.ones(2)):
        with pytest.raises((CaptureError, TypeError), match=r"^compile: "):
            compile(f)(given)


def test_what_numpy_computes_of_a_value_is_of_that_value():
    f = lambda x: x * np.histogram(x, bins=2)[0].max()
    run = compile(f)
    for given in ([1.0, 2.0, 2.5], [1.0, 2.0, 3.0], [1.0, 1.0, 3.0], [1.0, 2.0, 2.5]):
        for _ in range(3):
            assert value(run(ag.tensor(given))) == value(f(ag.tensor(given)))


# --- arrays of NumPy's -----------------------------------------------------------------------------------------------

BUFFER = np.ones((4, 3), np.float32)
COUNT = np.zeros(1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ag.tensor(BUFFER).sum() * x,
        lambda x: x * float(BUFFER[0, 0]),
        lambda x: x * 2 if BUFFER[0, 0] > 3 else x,
        lambda x: x * (BUFFER * 2).sum(),
        lambda x: (x - BUFFER) / (BUFFER.std() + 1),
        lambda x: ag.ones(4)[BUFFER[:, 0] > 3].sum() * x,
    ],
)
def test_what_is_written_into_an_array_of_numpys(f):
    BUFFER[:] = 1
    follows(f, lambda: BUFFER.__setitem__(slice(None), 5), ONE)
    BUFFER[:] = 1


def test_an_array_of_numpys_cannot_count_calls():
    def f(x):
        COUNT[0] += 1
        return x * 2

    run = compile(f)
    run(ONE)
    with pytest.raises(CaptureError, match="f changes COUNT"):
        run(ONE)


# --- what is something else each time --------------------------------------------------------------------------------

RNG, STREAM, ITEMS = np.random.default_rng(0), random.Random(0), iter(range(99))
DRAW, SYSTEM = RNG.random, random.SystemRandom()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: np.random.rand(),
        lambda: np.random.permutation(3)[0],
        lambda: random.uniform(0, 1),
        lambda: random.choice([1, 2]),
        lambda: random.random(),
        lambda: RNG.random(),
        lambda: RNG.integers(3),
        lambda: DRAW(),
        lambda: STREAM.gauss(0, 1),
        lambda: time.time(),
        lambda: time.perf_counter(),
        lambda: next(ITEMS),
        lambda: SYSTEM.random(),
        lambda: datetime.datetime.now().second,
        lambda: datetime.date.today().day,
        lambda: time.gmtime().tm_sec,
        lambda: uuid.uuid4().int % 7,
        lambda: uuid.uuid1().int % 7,
        lambda: secrets.randbelow(3),
        lambda: np.random.default_rng().random(),
        lambda: len(open(__file__).readline()),
        lambda: len(pathlib.Path(__file__).read_text()),
        lambda: os.path.exists(__file__),
        lambda: pathlib.Path(__file__).exists(),
        lambda: len(os.listdir()),
    ],
)
def test_draws_clocks_and_iterators_are_refused(draw):
    run = compile(lambda x: x * draw())
    with pytest.raises(CaptureError):
        for _ in range(3):
            run(ONE)


# --- what is read of objects -----------------------------------------------------------------------------------------


class Conf:
    """Settings behind a property."""

    def __init__(self, lr):
        self._inner = SimpleNamespace(lr=lr)

    @property
    def inner(self):
        return self._inner


@dataclass(slots=True)
class Slotted:
    """Settings without a dict."""

    lr: float = 1.0
    rows: tuple = ()


CFG, OTHER, CONF, SLOTTED, QUEUE = (
    SimpleNamespace(lr=1.0),
    SimpleNamespace(lr=1.0),
    Conf(1.0),
    Slotted(),
    collections.deque([1.0]),
)


def getter():
    return CFG


def spread(x, *rest, **named):
    return x * (rest[0] if rest else named["c"]).lr


def two(x, c):
    return x * c.lr


def layer(inner, c):
    return lambda x: inner(x) * c.lr


def has_default(x, rows=[1.0]):  # noqa: B006
    return x * rows[0]


WAYS = {
    "getter": lambda x: x * getter().lr,
    "property": lambda x: x * CONF.inner.lr,
    "more arguments": lambda x: spread(x, CFG),
    "named arguments": lambda x: spread(x, c=CFG),
    "second call": lambda x: two(x, OTHER) * two(x, CFG),
    "layers": layer(layer(lambda x: x, CFG), SimpleNamespace(lr=1.0)),
    "slots": lambda x: x * SLOTTED.lr,
    "deque": lambda x: x * QUEUE[0],
    "default": lambda x: has_default(x),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_setting_is_seen_however_it_is_reached(way):
    def change(lr):
        CFG.lr = CONF._inner.lr = SLOTTED.lr = QUEUE[0] = has_default.__defaults__[0][0] = lr

    change(1.0)
    follows(WAYS[way], lambda: change(5.0), ONE)
    change(1.0)


def test_defaults_that_are_replaced():
    def f(x, k=1.0):
        return x * k

    follows(f, lambda: setattr(f, "__defaults__", (3.0,)), ONE)


def test_a_counter_in_a_slot_cannot_count():
    def f(x):
        SLOTTED.lr += 1
        return x

    run = compile(f)
    run(ONE)
    with pytest.raises(CaptureError, match="f changes lr"):
        run(ONE)


def test_code_that_was_made_from_text():
    scope = {"ag": ag, "k": 2.0}
    exec("def h(x): return x * k", scope)
    follows(lambda x: scope["h"](x), lambda: scope.update(k=3.0), ONE)
    exec("def bare(x): return x * 2", bare := {})
    assert value(compile(bare["bare"])(ONE)) == [2.0]


def test_under_a_profiler():
    run, profile = compile(lambda x: x * 2), cProfile.Profile()
    for _ in range(4):
        assert value(profile.runcall(run, ONE)) == [2.0]


# --- modes, branches -------------------------------------------------------------------------------------------------


def test_modes_that_alternate():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    other = copy.deepcopy(model)
    run = compile(model)
    for k in range(30):
        for m in (model, other):
            m.train(k % 3 == 0)
        x = ag.tensor(np.random.default_rng(k).standard_normal((4, 3)).astype(np.float32))
        with ag.no_grad():
            np.testing.assert_allclose(run(x).numpy(), other(x).numpy(), rtol=1e-5, atol=1e-6)
    assert run.cache_info().replays >= 24


def test_cond_takes_either_in_each_replay():
    w, rng = ag.tensor([2.0, 3.0], requires_grad=True), np.random.default_rng(0)

    def f(x):
        y, z = ag.cond(x.sum() > 0, lambda v: ((v * w).sqrt(), v), lambda v: (-v * w * 2, v + 1), x)
        return y, z, *ag.gradient((y * y).sum(), [w])

    run = compile(f)
    for k in range(12):
        x = ag.tensor(rng.uniform(0.1, 1, 2) * (1 if k % 3 else -1))
        for a, b in zip(run(x), f(x), strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)
    assert run.cache_info().replays == 10


def test_what_cond_does_not_choose_gives_the_operands_no_gradient():
    run = compile(lambda x: ag.gradient(ag.cond(x.sum() > 0, lambda v: v.sqrt(), lambda v: v * 0, x).sum(), [x])[0])
    for k in range(8):
        x = ag.tensor([1.0, 4.0] if k % 2 else [0.0, 0.0], requires_grad=True)
        assert value(run(x)) == ([0.5, 0.25] if k % 2 else [0.0, 0.0])


@pytest.mark.parametrize("f", [lambda v: ONE.add_(0) * v, lambda v: v + ag.rand(2), lambda v: v.mul_(1)])
def test_cond_of_functions_that_do_more_than_compute(f):
    with pytest.raises(CaptureError, match="changes something in place, draws random numbers"):
        compile(lambda x: ag.cond(x.sum() > 0, f, lambda v: v * 1, x))(ag.ones(2))
    with pytest.raises(ValueError, match="both functions must return trees of one form"):
        compile(lambda x: ag.cond(x.sum() > 0, lambda v: v, lambda v: v[:1], x))(ag.ones(2))


# --- what called functions do ----------------------------------------------------------------------------------------


def refused(f, *args, match="^compile: "):
    """A compiled function does what the function does, until it says that it cannot."""
    run = compile(f)
    with pytest.raises(CaptureError, match=match):
        for _ in range(5):
            run(*(args or (ONE,)))


def counting():
    n = 0

    def scale():
        nonlocal n
        n += 1
        return 1.0 if n < 5 else 3.0

    return lambda x: x * scale()


def logging(make):
    def made():
        rows, net, w = [], nn.Linear(1, 1), nn.Parameter(ag.ones(1))

        def log(*values):
            rows.append(values[-1])

        @contextlib.contextmanager
        def scope():
            rows.append(1)
            yield

        def numbers():
            rows.append(1)
            yield 1.0

        return make(SimpleNamespace(rows=rows, net=net, w=w, log=log, scope=scope, numbers=numbers))

    return made


def with_scope(s):
    scope = s.scope

    def f(x):
        with scope():
            return x * 2

    return f


def with_numbers(s):
    numbers = s.numbers
    return lambda x: x * sum(numbers())


def with_hook(s):
    net = s.net
    net.register_forward_hook(lambda m, i, o: s.log(o.detach()))
    return lambda x: net(x)


def with_gradient_hook(s):
    w, log = s.w, s.log

    def f(x):
        w.grad = None
        (x * w).sum().backward()
        return w.grad * 1

    w.register_hook(lambda g: log(g.clone()))
    return f


def with_hook_in_the_way_back(s):
    net, log = s.net, s.log

    def f(x):
        net.zero_grad()
        y = net(x)
        y.register_hook(lambda g: log(1))
        y.sum().backward()
        return y.detach()

    return f


def with_helper(s):
    log = s.log

    def f(x):
        log(1)
        return x * 2

    return f


CLOSURES = {
    "counter": counting,
    **{f.__name__: logging(f) for f in (with_scope, with_numbers, with_hook, with_gradient_hook, with_helper)},
    "hook in the way back": logging(with_hook_in_the_way_back),
}


@pytest.mark.parametrize("name", CLOSURES)
def test_a_called_function_that_changes_what_it_closes_over(name):
    refused(CLOSURES[name](), match="(n|rows)")


def test_what_a_function_makes_itself_it_may_change():
    class Sum:
        def __init__(self):
            self.total, self.rows = 0, []

        def add(self, v):
            self.total += v
            self.rows.append(v)

    def f(x):
        rows, total, sums = [], 0, Sum()

        def walk(n):
            nonlocal total
            total += n
            rows.append(n)
            sums.add(n)
            if n:
                walk(n - 1)

        def steps():
            for n in range(3):
                rows.append(n)
                yield n

        walk(3)
        return x * (total + sum(steps()) + len(rows) + sums.total)

    run = compile(f)
    for _ in range(6):
        assert value(run(ONE)) == value(f(ONE))
    assert run.cache_info().replays >= 3


def test_a_setting_that_a_called_function_closes_over():
    def made():
        k = 2.0

        def scale():
            return k

        def change():
            nonlocal k
            k = 3.0

        return lambda x: x * scale(), change

    follows(*made(), ONE)


LOG, TABLE, STEPS, PULL = [], {}, itertools.count(), [iter(range(99))]
APPEND, UPDATE, STEP, TELL = LOG.append, TABLE.update, STEPS.__next__, functools.partial(LOG.append, 1)
CALLBACKS, DRAWN, CYCLE = [LOG.append], functools.partial(RNG.random), {"a": itertools.cycle([1.0, 2.0])}
VARIABLE, LOCAL, BYTES, WORDS = contextvars.ContextVar("v"), threading.local(), bytearray(2), array.array("d", [1.0])
USERS, CHAIN, HOLDER = collections.UserList([1]), collections.ChainMap({}), SimpleNamespace(last=0)

QUEUES = queue.Queue(), queue.SimpleQueue()


def recorded(o, v):
    o.__dict__.update(last=v)


@pytest.mark.parametrize(
    "act",
    [
        lambda: APPEND(1),
        lambda: UPDATE({object(): 1}),
        lambda: STEP(),
        lambda: TELL(),
        lambda: [tell(1) for tell in CALLBACKS],
        lambda: DRAWN() > 2,
        lambda: next(PULL[0]),
        lambda: next(CYCLE["a"]),
        lambda: LOCAL.__dict__.update(n=getattr(LOCAL, "n", 0) + 1),
        lambda: VARIABLE.set(VARIABLE.get(0) + 1),
        lambda: BYTES.append(1),
        lambda: WORDS.append(1.0),
        lambda: USERS.append(1),
        lambda: QUEUES[0].put(1),
        lambda: QUEUES[1].put(1),
        lambda: CHAIN.update(n=CHAIN.get("n", 0) + 1),
        lambda: recorded(HOLDER, object()),
    ],
)
def test_methods_and_objects_of_python_that_are_written_through(act):
    def f(x):
        act()
        return x * 2

    refused(f)


def nest(depth, inner):
    """Objects in lists in objects."""
    return inner if not depth else SimpleNamespace(next=[nest(depth - 1, inner)])


def chain(length, last):
    """Objects in objects."""
    return last if not length else SimpleNamespace(next=chain(length - 1, last))


def deep(rows):
    for _ in range(10):
        rows = rows[0]
    return rows


def with_import():
    import surroundings.settings as s

    return s.k


class Lists(list):
    """A list with a setting."""

    k = 2.0


LEAF, LAST, PARAMETER, HOUSE = SimpleNamespace(k=2.0), SimpleNamespace(k=2.0), nn.Parameter(ag.ones(1)), nn.Linear(1, 1)
NEST, LINKED, ROWS, INNER = nest(4, LEAF), chain(12, LAST), [2.0], [2.0]
for _ in range(9):
    ROWS = [ROWS]
PARTIAL, BOTH, VIEWED = functools.partial(lambda x, k: x * k, k=2.0), collections.ChainMap({}, {"k": 2.0}), {"k": 2.0}
VIEW, ORDER, TEXTS = types.MappingProxyType(VIEWED), collections.OrderedDict(a=2.0, b=3.0), configparser.ConfigParser()
USER, POINTED, FIELD = collections.UserDict(k=2.0), argparse.Namespace(k=2.0), operator.attrgetter("p.k")
FIELDS, SETTINGS, OWN = SimpleNamespace(p=SimpleNamespace(k=2.0)), types.ModuleType("surroundings.settings"), Lists()
REFERENCE, PROXY, MEMORY = weakref.ref(POINTED), weakref.proxy(POINTED), np.full(2, 2.0)
VARIABLE_K, LOCAL_K, TWO, VIEWED_ARRAY = (
    contextvars.ContextVar("k"),
    threading.local(),
    bytearray(b"2"),
    memoryview(MEMORY),
)
TEXTS["s"] = {"k": "2.0"}


@functools.lru_cache
def remembered():
    return INNER[0]


def reach(start):
    while hasattr(start, "next"):
        start = start.next[0] if isinstance(start.next, list) else start.next
    return start.k


def put(place, k):
    """Another setting, in whatever holds it."""
    if isinstance(place, contextvars.ContextVar):
        place.set(k)
    elif isinstance(
        place, (SimpleNamespace, argparse.Namespace, threading.local, types.ModuleType, nn.Parameter, Lists)
    ):
        place.k = k
    elif isinstance(place, (dict, collections.UserDict)):
        place["k"] = k
    else:
        place[0] = k


SETTINGS_OF = {
    "parameter": (lambda: PARAMETER.k, PARAMETER),
    "parameter of a module": (lambda: HOUSE.weight.k, HOUSE.weight),
    "parameters of a module": (lambda: sum(p.k for p in HOUSE.parameters() if hasattr(p, "k")), HOUSE.weight),
    "nests": (lambda: reach(NEST), LEAF),
    "chain": (lambda: reach(LINKED), LAST),
    "lists": (lambda: deep(ROWS), deep([ROWS])),
    "partial": (lambda: PARTIAL(1.0), PARTIAL.keywords),
    "environment": (lambda: float(os.environ["K"]), None),
    "environment by a call": (lambda: float(os.getenv("K")), None),
    "mapping of the user": (lambda: USER["k"], USER),
    "chained mapping": (lambda: BOTH["k"], BOTH.maps[1]),
    "view of a mapping": (lambda: VIEW["k"], VIEWED),
    "configuration": (lambda: TEXTS.getfloat("s", "k"), None),
    "remembered": (lambda: remembered(), INNER),
    "local of a thread": (lambda: LOCAL_K.k, LOCAL_K),
    "variable of a context": (lambda: VARIABLE_K.get(), VARIABLE_K),
    "reference": (lambda: REFERENCE().k, POINTED),
    "proxy": (lambda: PROXY.k, POINTED),
    "getter of a field": (lambda: FIELD(FIELDS), FIELDS.p),
    "imported inside": (with_import, SETTINGS),
    "bytes": (lambda: TWO[0], TWO),
    "view of memory": (lambda: VIEWED_ARRAY[0], MEMORY),
    "list with attributes": (lambda: OWN.k, OWN),
}


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_a_setting_is_seen_wherever_it_is_held(name, monkeypatch):
    get, place = SETTINGS_OF[name]
    SETTINGS.__file__ = __file__
    monkeypatch.setitem(sys.modules, "surroundings", types.ModuleType("surroundings"))
    monkeypatch.setitem(sys.modules, "surroundings.settings", SETTINGS)
    sys.modules["surroundings"].settings = SETTINGS

    def change(k):
        monkeypatch.setenv("K", str(k))
        TEXTS["s"]["k"] = str(k)
        remembered.cache_clear()
        if place is not None:
            put(place, int(k) if place is TWO else k)

    change(2.0)
    follows(lambda x: x * get(), lambda: change(3.0), ONE)
    change(2.0)


def test_the_order_of_a_mapping_that_has_its_own():
    follows(lambda x: x * next(iter(ORDER.values())), lambda: ORDER.move_to_end("a"), ONE)


def test_hooks_whose_bookkeeping_is_the_librarys():
    net, told = nn.Linear(2, 2), nn.Linear(2, 2)
    told.load_state_dict(net.state_dict())
    told.register_full_backward_hook(lambda m, given, left: (given[0] * 2,))

    def step(model):
        def f(x):
            model.zero_grad()
            y = model(x)
            (y * y).sum().backward()
            return y.detach(), x.grad * 1

        return f

    run = compile(step(told))
    for k in range(5):
        x, z = (ag.tensor([[1.0, k]], requires_grad=True) for _ in range(2))
        (y, g), (expected, h) = run(x), step(net)(z)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-6)
        np.testing.assert_allclose(g.numpy(), 2 * h.numpy(), rtol=1e-6)
    assert run.cache_info().replays >= 2


@pytest.mark.parametrize("which", ["hook of a value", "hook of a module", "hook that scales"])
def test_hooks_on_the_way_back_that_count(which):
    def made():
        net, rows = nn.Linear(2, 2), []
        net.weight.data.fill_(1.0)

        def note(g):
            rows.append(1)

        def scale(g):
            rows.append(1)
            return g * len(rows)

        def f(x):
            if which == "hook of a module":
                return net(x)
            y = x * 2
            y.register_hook(scale if which == "hook that scales" else note)
            return y * 3

        net.register_full_backward_hook(lambda m, given, left: note(left))
        return f, rows

    (f, rows), (g, expected) = made(), made()
    run = compile(f)
    for _ in range(10):
        x, z = (ag.tensor([[1.0, 2.0]], requires_grad=True) for _ in range(2))
        run(x).sum().backward()
        g(z).sum().backward()
        if which == "hook that scales":
            assert value(x.grad) == value(z.grad)
    assert len(rows) == len(expected)


def test_iterators_that_functions_close_over():
    def over(rows, helper):
        step = lambda: next(rows)
        return (lambda x: x * step()) if helper else lambda x: x * next(rows)

    def own(x):
        rows = iter([x, x + 1])
        take = lambda tree: [take(v) for v in tree] if isinstance(tree, list) else next(rows) * tree
        return sum(take([1, [2]])[1], x)

    refused(over(iter(range(9)), False), match="rows is an iterator")
    refused(over(iter([1.0] * 9), True), match="rows is an iterator")
    run = compile(own)
    for _ in range(6):
        assert value(run(ONE)) == value(own(ONE))
    assert run.cache_info().replays >= 3


class Kind:
    k = 1.0


class Other:
    k = 2.0


class Rule(Kind):
    """Whose base is replaced."""


class Answers(dict):
    """Answers to any name, as settings read from files do."""

    __getattr__ = dict.__getitem__


def absent_attribute():
    c = types.SimpleNamespace()
    return lambda x: x * (c.scale if hasattr(c, "scale") else 1.0), lambda: setattr(c, "scale", 5.0)


def absent_attribute_of_the_class():
    cls = type("Settings", (), {"__module__": __name__})
    c = cls()
    return lambda x: x * (c.scale if hasattr(c, "scale") else 1.0), lambda: setattr(cls, "scale", 5.0)


def attribute_that_is_tried():
    c = Kind()

    def f(x):
        try:
            return x * c.scale
        except AttributeError:
            return x

    return f, lambda: setattr(c, "scale", 5.0)


def global_that_is_tried():
    globals().pop("LATER", None)

    def f(x):
        try:
            return x * LATER
        except NameError:
            return x

    return f, lambda: globals().update(LATER=5.0)


def global_that_is_asked_for():
    globals().pop("FAR_LATER", None)
    return lambda x: x * globals().get("FAR_LATER", 1.0), lambda: globals().update(FAR_LATER=5.0)


def another_class():
    c = Kind()
    return lambda x: x * c.k, lambda: setattr(c, "__class__", Other)


def other_attributes():
    c = types.SimpleNamespace(k=1.0)
    d = Kind()
    d.k = 1.0
    return lambda x: x * c.k * d.k, lambda: setattr(d, "__dict__", {"k": 2.0})


def another_base():
    Rule.__bases__ = (Kind,)
    return lambda x: x * Rule().k, lambda: setattr(Rule, "__bases__", (Other,))


def keys_of_a_dict():
    key = Kind()
    table = {key: 1}
    return lambda x: sum(x * q.k for q in table), lambda: setattr(key, "k", 3.0)


def members_of_a_frozen_set():
    one = Kind()
    some = frozenset([one])
    return lambda x: sum(x * q.k for q in some), lambda: setattr(one, "k", 3.0)


def objects_in_an_array():
    held = np.empty(1, object)
    held[0] = [1.0]
    return lambda x: x * held[0][0], lambda: held[0].__setitem__(0, 2.0)


def view_of_a_dict():
    table = {"a": 1.0}
    values = table.values()
    return lambda x: x * sum(values), lambda: table.update(a=2.0)


def another_base_of_its_class():
    rule = type("Rules", (Kind,), {"__module__": __name__})
    r = rule()
    return lambda x: x * r.k, lambda: setattr(rule, "__bases__", (Other,))


def field_of_a_structure():
    kind = type("Pair", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_double), ("b", ctypes.c_double)]})
    pair, number = kind(1.0, 2.0), ctypes.c_float(1.0)

    def change():
        pair.b, number.value = 3.0, 2.0

    return lambda x: x * pair.b * number.value, change


def another_kind_of_layer():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    return lambda x: net(x[:, None] * ag.ones(1, 2)).sum(1), lambda: setattr(net[1], "__class__", nn.Sigmoid)


@pytest.mark.parametrize(
    "program",
    [
        absent_attribute, absent_attribute_of_the_class, attribute_that_is_tried, global_that_is_tried,
        global_that_is_asked_for, another_class, other_attributes, another_base,
        another_base_of_its_class, field_of_a_structure, keys_of_a_dict,
        members_of_a_frozen_set, objects_in_an_array, view_of_a_dict, another_kind_of_layer,
    ],
)  # fmt: skip
def test_what_an_object_is_and_what_it_has_not(program):
    f, change = program()
    run, x = ag.compile(f), ag.ones(3)
    for _ in range(4):
        np.testing.assert_allclose(run(x).detach(), f(x).detach(), rtol=1e-6)
    replays = run.cache_info().replays
    assert replays
    change()
    for _ in range(4):
        np.testing.assert_allclose(run(x).detach(), f(x).detach(), rtol=1e-6)


def test_objects_that_answer_to_any_name():
    settings, nowhere = Answers(rate=2.0), types.ModuleType("nowhere")
    nowhere.__getattr__ = {"rate": 3.0}.__getitem__
    run = ag.compile(lambda x: x * settings.rate * nowhere.rate)
    for _ in range(4):
        assert run(ag.ones(1)).item() == 6
    assert run.cache_info().replays == 2


# --- functions that close over something -------------------------------------------------------------------------------


def adding(total):
    def add(v):
        nonlocal total
        total += v
        return total

    return add


def test_captures_do_not_look_at_all_objects(monkeypatch):
    scale = 2.0

    def helper(x):
        return x * scale

    def step(x):
        add = adding(1.0)
        add(2.0)
        return sum([helper(x) * k for k in (1.0, 2.0)]) + sum(helper(x) for _ in range(2)) + add(3.0)

    def change():
        nonlocal scale
        scale = 5.0

    monkeypatch.setattr(codes.gc, "get_referrers", lambda *objects: pytest.fail("all objects are looked at"))
    follows(step, change, ONE)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_function_from_before_that_changes_what_it_closes_over_is_told_from_one_that_the_run_makes(
    told, inside, monkeypatch
):
    if not told:
        monkeypatch.setattr(guards, "told", lambda: False)
    before = adding(0.0)

    def step(x):
        before(1.0)
        return x * (adding(1.0)(2.0) if inside else 2.0)

    run = compile(step)
    with pytest.raises(CaptureError, match="changes total"):
        for _ in range(4):
            run(ONE)


def test_the_function_that_runs_in_a_frame_is_known():
    def running():
        return codes.function_of(sys._getframe())

    def generating():
        yield codes.function_of(sys._getframe())

    assert codes.told()
    assert running() is running and next(generating()) is generating
