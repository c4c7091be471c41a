"""Modules: what they hold and under which names, modes, hooks, state, copies, printing."""

import copy
import pickle

import numpy as np
import pytest

import autograd_core as ag
import nn


class Net(nn.Module):
    """Holds a bit of everything, and never calls `super().__init__()`."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.first = nn.Linear(3, 4)
        self.register_buffer("steps", ag.tensor(0))
        self.register_buffer("scratch", ag.zeros(2), persistent=False)
        self.mean = nn.Buffer(ag.zeros(3))
        self.missing = None
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4, bias=False)])
        self.heads = nn.ModuleDict({"left": nn.Linear(4, 2), "right": self.blocks[0]})
        self.list = nn.ParameterList([ag.zeros(2), ag.ones(1)])

    def forward(self, x):
        x = self.first(x * self.scale)
        for block in self.blocks:
            x = block(x)
        return self.heads["left"](x)


NAMES = [
    "scale", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "heads.left.weight",
    "heads.left.bias", "list.0", "list.1",
]  # fmt: skip


def test_what_a_module_holds_is_found_in_its_attributes():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_buffers()] == ["steps", "scratch", "mean"]
    assert [n for n, _ in net.named_children()] == ["first", "blocks", "heads", "list"]
    modules = ["", "first", "blocks", "blocks.0", "blocks.1", "heads", "heads.left", "list"]
    assert [n for n, _ in net.named_modules()] == modules
    assert len(list(net.named_parameters(remove_duplicate=False))) == len(NAMES) + 2
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert net.get_parameter("heads.right.weight") is net.blocks[0].weight
    assert net.get_buffer("steps") is net.steps and net.get_submodule("heads.left") is net.heads["left"]
    assert net.get_submodule("") is net


def test_the_state_has_persistent_buffers_and_shared_names():
    state = Net().state_dict()
    assert [n for n in state if not n.startswith("heads.right")] == [NAMES[0], "steps", "mean", *NAMES[1:]]
    assert {"heads.right.weight", "heads.right.bias"} < set(state)
    assert not any(t.requires_grad for t in state.values())
    assert all(t.requires_grad for n, t in Net().state_dict(keep_vars=True).items() if n in NAMES)


def test_a_buffer_stays_one_when_another_tensor_is_assigned():
    net = Net()
    net.steps = net.steps + 1
    assert int(net.state_dict()["steps"]) == 1
    net.register_buffer("steps", None)
    assert "steps" not in net.state_dict() and net.steps is None


def test_loading_copies_into_the_same_parameters():
    net, other = Net(), Net()
    before = list(net.parameters())
    assert repr(net.load_state_dict(other.state_dict())) == "<All keys matched successfully>"
    assert all(a is b for a, b in zip(before, net.parameters()))
    x = ag.randn(2, 3)
    assert np.array_equal(net(x).detach().numpy(), other(x).detach().numpy())
    other.scale.data.fill_(5)
    assert net.scale[0].item() == 1


def test_loading_takes_arrays_and_assigns_if_asked():
    net, state = nn.Linear(2, 1), {"weight": np.ones((1, 2)), "bias": np.zeros(1, np.float32)}
    net.load_state_dict(state)
    assert net.weight.dtype == np.float32 and net.weight.detach().numpy().tolist() == [[1, 1]]
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype == np.float64 and isinstance(net.weight, nn.Parameter) and net.weight.requires_grad


def test_errors_of_loading_list_everything_and_change_nothing():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = copy.deepcopy(net.state_dict())
    state = {"0.weight": np.ones((2, 3)), "0.bais": np.ones(3), "1.weight": np.ones((1, 3)), "1.bias": np.ones(2)}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    for part in ("missing: 0.bias", "unexpected: 0.bais", "'0.bais' meant for '0.bias'", "(2, 3)", "(3, 2)",
                 "transposed", "1.bias: shape (2,) in the state, (1,) in the model"):  # fmt: skip
        assert part in text, part
    assert all(np.array_equal(before[n].detach().numpy(), t.detach().numpy()) for n, t in net.state_dict().items())
    keys = net.load_state_dict({"0.weight": np.ones((3, 2)), "more": np.ones(1)}, strict=False)
    assert keys.missing_keys == ["0.bias", "1.weight", "1.bias"] and keys.unexpected_keys == ["more"]
    with pytest.raises(RuntimeError, match="begins with 'module.'"):
        net.load_state_dict({f"module.{n}": t for n, t in net.state_dict().items()})
    with pytest.raises(RuntimeError, match="0.weight: expected a tensor or an array of numbers, got str"):
        net.load_state_dict({**before, "0.weight": "text"})
    with pytest.raises(TypeError, match="names and tensors in a dict, got list"):
        net.load_state_dict([1])


def test_extra_state_travels():
    class Counting(nn.Linear):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    one, two = nn.Sequential(Counting(1, 1)), nn.Sequential(Counting(1, 1))
    one[0].count = 7
    assert list(one.state_dict()) == ["0.weight", "0.bias", "0._extra_state"]
    two.load_state_dict(one.state_dict())
    assert two[0].count == 7


def test_modes_freezing_and_gradients():
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    net.first.requires_grad_(False)
    net(ag.randn(2, 3)).sum().backward()
    assert net.first.weight.grad is None and net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.detach().numpy().tolist() == [0, 0, 0]
    net.zero_grad()
    assert net.scale.grad is None
    with pytest.raises(ValueError, match="True or False, got 'yes'"):
        net.train("yes")


def test_types_change_in_place_with_gradients_but_not_whole_numbers():
    net = Net()
    net(ag.randn(2, 3)).sum().backward()
    weight = net.first.weight
    assert net.double() is net and net.first.weight is weight
    assert weight.dtype == weight.grad.dtype == np.float64 and net.steps.dtype == np.int64
    net(ag.randn(2, 3).double()).sum().backward()
    assert net.to(ag.float32).first.weight.dtype == np.float32
    assert net.to("cpu").half().mean.dtype == np.float16 and net.float().scale.dtype == np.float32
    assert net.to("float64").scale.dtype == np.float64 and net.to(ag.zeros(1)).scale.dtype == np.float32
    with pytest.raises((RuntimeError, ValueError), match="cuda"):
        net.to("cuda")
    with pytest.raises((RuntimeError, ValueError), match="cuda"):
        net.cuda()


def test_copies_are_independent_and_keep_what_is_shared():
    net = Net()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net.heads["left"]))):
        assert isinstance(other, nn.Module) and next(other.parameters()).requires_grad
    other = copy.deepcopy(net)
    assert other.heads["right"] is other.blocks[0] is not net.blocks[0]
    other.scale.data.zero_()
    assert net.scale.detach().numpy().tolist() == [1, 1, 1]
    net.scale.note = "kept"
    assert copy.deepcopy(net).scale.note == pickle.loads(pickle.dumps(net.scale)).note == "kept"


def test_names_are_checked():
    net = Net()
    for call in (net.register_parameter, net.register_buffer, net.add_module):
        with pytest.raises(TypeError):
            call("new", 3)
        with pytest.raises(KeyError, match="dots"):
            call("a.b", None)
        with pytest.raises(KeyError, match="already"):
            call("forward", None)
    with pytest.raises(AttributeError, match="heads has no module 'middle'; inside it: left, right"):
        net.get_submodule("heads.middle.x")
    with pytest.raises(AttributeError, match="Linear has no 'wieght'; it has weight, bias"):
        net.get_parameter("first.wieght")
    net.set_submodule("heads.left", nn.Identity())
    assert isinstance(net.heads["left"], nn.Identity)


def test_errors_say_where():
    class Outer(nn.Module):
        def __init__(self):
            self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 2)))

        def forward(self, x):
            return self.encoder(x)

    with pytest.raises(ValueError, match=r"^encoder.1.0 \(Linear\(in_features=5, .*\): linear: input is \(2, 4\)"):
        Outer()(ag.randn(2, 3))
    with pytest.raises(NotImplementedError, match="Module: forward is not defined; write"):
        nn.Module()()


def test_forward_hooks():
    calls = []
    net = nn.Sequential(nn.Linear(2, 2), nn.Identity())
    first = net[0].register_forward_pre_hook(lambda m, args: calls.append("pre") or (args[0] * 2,))
    net[0].register_forward_hook(lambda m, args, y: calls.append("post") or y + 1)
    net[0].register_forward_hook(lambda m, args, y: calls.append("first"), prepend=True)
    net[0].register_forward_pre_hook(lambda m, a, k: calls.append("named") or (a, k), with_kwargs=True, prepend=True)
    x = ag.randn(3, 2)
    y = net(x)
    assert calls == ["named", "pre", "first", "post"]
    np.testing.assert_allclose(
        y.detach().numpy(), nn.functional.linear(x * 2, net[0].weight, net[0].bias).detach().numpy() + 1
    )
    first.remove()
    calls.clear()
    net(x)
    assert calls == ["named", "first", "post"]

    calls.clear()
    net[1].forward = None
    net[1].register_forward_hook(lambda m, args, y: calls.append(y), always_call=True)
    with pytest.raises(TypeError):
        net(x)
    assert calls[-1] is None


def test_backward_hooks_see_and_replace_gradients():
    seen = []
    layer = nn.Linear(2, 3)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    layer.register_full_backward_hook(lambda m, gi, go: (None if gi[0] is None else gi[0] * 10,))
    x = ag.randn(4, 2, requires_grad=True)
    layer(x).sum().backward()
    ((grad_input, grad_output),) = seen
    assert np.array_equal(grad_output[0].detach().numpy(), np.ones((4, 3)))
    np.testing.assert_allclose(x.grad.detach().numpy(), 10 * grad_input[0].detach().numpy())

    seen.clear()
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 0,))
    layer(ag.randn(4, 2)).sum().backward()  # the input needs none: only what arrived at the output is told
    ((grad_input, grad_output),) = seen
    assert grad_input == (None,) and not grad_output[0].detach().numpy().any()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda g: (g[0][:, :1],), r"\[0\] was \(4, 2\) float32, and the hook returned \(4, 1\) float32"),
        (lambda g: (g[0].double(),), r"\[0\] was \(4, 2\) float32, and the hook returned \(4, 2\) float64"),
        (lambda g: g + g, "must return None or 1 grad_.*, got 2"),
        (lambda g: (), "must return None or 1 grad_.*, got 0"),
        (lambda g: (3.0,), "must be a Tensor or None, got float"),
    ],
)
def test_backward_hooks_may_not_change_what_gradients_are(change, message):
    after, before = nn.Linear(2, 2), nn.Linear(2, 2)
    after.register_full_backward_hook(lambda m, gi, go: change(gi))
    before.register_full_backward_pre_hook(lambda m, go: change(go))
    for layer in (after, before):
        with pytest.raises((RuntimeError, TypeError), match=message):
            layer(ag.randn(4, 2, requires_grad=True)).sum().backward()


def test_backward_hooks_have_nothing_to_replace_where_no_input_asks_for_gradients():
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda m, gi, go: go)
    with pytest.raises(RuntimeError, match="no input requires gradients"):
        layer(ag.randn(4, 2)).sum().backward()


def test_state_hooks():
    calls = []
    net = nn.Sequential(nn.Linear(1, 1))
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep: calls.append(("before", prefix)))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "bias"))
    assert list(net.state_dict()) == ["0.weight"] and calls == [("before", "0.")]

    def old_names(m, state, prefix, *rest):
        state[prefix + "bias"] = state.pop(prefix + "offset")

    net[0].register_load_state_dict_pre_hook(old_names)
    net.register_load_state_dict_post_hook(lambda m, keys: calls.append(keys))
    given = {"0.weight": np.ones((1, 1)), "0.offset": np.full(1, 3.0)}
    net.load_state_dict(given)
    assert net[0].bias.item() == 3 and calls[-1] == ([], []) and "0.offset" in given


def test_sequences_are_lists():
    a, b, c = nn.Linear(1, 1), nn.Identity(), nn.Linear(1, 2)
    net = nn.Sequential(a, b)
    net.append(c)
    assert len(net) == 3 and net[-1] is c and list(net) == [a, b, c]
    assert [n for n, _ in net[1:].named_children()] == ["1", "2"]
    net.insert(0, c)
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"] and net[0] is c and net.pop(0) is c
    del net[1]
    assert list(net) == [a, c] and [n for n, _ in net.named_children()] == ["0", "1"]
    assert list(net + nn.Sequential(b)) == [a, c, b] and len(net * 2) == 4
    net[0] = b
    assert net[0] is b
    named = nn.Sequential({"in": a, "out": c})
    assert list(named.state_dict()) == ["in.weight", "in.bias", "out.weight", "out.bias"]
    with pytest.raises(IndexError, match="index 5 is out of range for 2 entries"):
        net[5]
    with pytest.raises(TypeError, match="holds modules, got type"):
        nn.Sequential(nn.Linear)
    with pytest.raises(TypeError, match="holds modules, got function"):
        net.append(lambda x: x)


def test_dicts_are_dicts():
    d = nn.ModuleDict({"a": nn.Identity()})
    d["b"] = nn.Linear(1, 1)
    assert list(d) == ["a", "b"] and "a" in d and len(d) == 2 and d.pop("a") and list(d.keys()) == ["b"]
    d.update([("c", nn.Identity())])
    assert [k for k, _ in d.items()] == ["b", "c"]
    with pytest.raises(KeyError, match="ModuleDict has no 'z'; it has b, c"):
        d["z"]
    d.clear()
    assert not len(d)
    p = nn.ParameterDict({"w": ag.ones(2), "note": "text"})
    assert isinstance(p["w"], nn.Parameter) and list(p.state_dict()) == ["w"] and p.get("none", 1) == 1
    assert hash(p) and p != nn.ParameterDict()


def test_printing():
    net = nn.Sequential(nn.Linear(2, 3), nn.ModuleList([nn.Identity(), nn.Identity(), nn.Linear(1, 1)]))
    assert repr(net) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): ModuleList(\n"
        "    (0-1): 2 x Identity()\n    (2): Linear(in_features=1, out_features=1, bias=True)\n  )\n)"
    )
    assert repr(nn.ParameterList([ag.zeros(2, 3)])).splitlines()[1].startswith("  (0): Parameter containing: [")


def test_lazy_layers_take_their_size_from_the_first_input_or_state():
    lazy = nn.LazyLinear(2)
    with pytest.raises(RuntimeError, match="call the model on one batch"):
        lazy.weight.shape  # noqa: B018
    lazy(ag.randn(4, 3))
    assert type(lazy) is nn.Linear and lazy.weight.shape == (2, 3) and lazy.in_features == 3
    loaded = nn.LazyLinear(2)
    weight = loaded.weight
    loaded.load_state_dict(lazy.state_dict())
    assert loaded.weight is weight
    x = ag.randn(4, 3)
    assert np.array_equal(loaded(x).detach().numpy(), lazy(x).detach().numpy()) and type(loaded) is nn.Linear


def test_beside_pytorch_with_hooks_and_names():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ModuleDict({"a": torch.nn.Linear(3, 1)}))
    ours = nn.Sequential(nn.Linear(2, 3), nn.ModuleDict({"a": nn.Linear(3, 1)}))
    ours.load_state_dict(net.state_dict())
    assert list(ours.state_dict()) == list(net.state_dict()) and repr(ours) == repr(net)
    net.load_state_dict({n: torch.from_numpy(t.detach().numpy()) for n, t in ours.state_dict().items()})


def test_what_belongs_to_the_state_does_not_leave_it_unnoticed():
    m = nn.Module()
    m.mean = nn.Buffer(ag.zeros(1))
    m.mean = m.mean + 1
    assert list(m.state_dict()) == ["mean"]
    m.register_buffer("w", ag.ones(2))
    m.w = nn.Parameter(ag.zeros(2))
    assert [n for n, _ in m.named_buffers()] == ["mean"] and [n for n, _ in m.named_parameters()] == ["w"]
    layer = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="Linear.weight is a Parameter, and Tensor is none.*weight.data"):
        layer.weight = ag.ones(1, 2)
    with pytest.raises(TypeError, match="is a module, and int is none"):
        nn.Sequential(layer).__setattr__("0", 5)


def test_the_order_is_that_in_which_things_are_set():
    m = nn.Module()
    m.down, m.c = None, nn.Linear(1, 2)
    m.down = nn.Linear(3, 1)
    assert [n for n, _ in m.named_children()] == ["c", "down"]
    for name, _ in m.named_parameters():
        m.register_buffer(name.replace(".", "_"), ag.zeros(1))  # the same while going through it
    assert list(nn.ParameterDict({"z": ag.ones(1), "a": ag.ones(1)}).keys()) == ["a", "z"]


def test_copies_of_models_begin_without_gradients():
    layer = nn.Linear(2, 1)
    layer(ag.ones(1, 2)).sum().backward()
    assert copy.deepcopy(layer).weight.grad is None and layer.weight.grad is not None
    for lazy in (copy.deepcopy(nn.LazyLinear(3)), pickle.loads(pickle.dumps(nn.LazyLinear(3)))):
        assert lazy(ag.ones(1, 2)).shape == (1, 3)


def test_attributes_of_users_may_have_any_name():
    class Watching(nn.Module):
        def __init__(self):
            self.hooks, self.tensors, self.layer = [], {}, nn.Linear(1, 1)

        def forward(self, x):
            return self.layer(x)

    assert Watching().double()(ag.ones(1, 1).double()).dtype == np.float64


@pytest.mark.parametrize("first", [nn.BatchNorm1d(2), nn.LayerNorm(2), nn.Sigmoid(), nn.MaxPool1d(1)], ids=str)
def test_activations_in_place_after_layers_that_keep_their_result(first):
    grads = []
    for inplace in (False, True):
        x = ag.tensor([[0.5, -1.0], [2.0, 1.5], [-0.3, 0.1]], requires_grad=True)
        nn.Sequential(first, nn.ReLU(inplace=inplace))(x).sum().backward()
        grads.append(x.grad.numpy())
    assert np.array_equal(*grads)


def test_a_second_backward_adds_to_gradients_that_were_tracked():
    p = nn.Parameter(ag.ones(3))
    p.sum().backward(create_graph=True)
    p.sum().backward()
    assert p.grad.tolist() == [2, 2, 2]


# --- what PyTorch's modules let classes and users do -----------------------------------------------------------------


def test_what_it_holds_can_be_read_and_set_by_name():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert list(net._modules) == ["0", "1"] and len(net._modules) == 2 and net._modules["1"] is net[1]
    assert list(net[0]._parameters) == ["weight", "bias"] and list(net[1]._buffers)[:2] == [
        "running_mean",
        "running_var",
    ]
    net._modules["0"] = nn.Linear(2, 3, bias=False)
    assert net[0].bias is None and "bias" not in net[0]._parameters and repr(net._modules).startswith("{'0': Linear(")
    net[1]._buffers["seen"] = ag.zeros(2)
    assert "1.seen" in net.state_dict()
    del net._modules["1"]
    assert len(net) == 1
    with pytest.raises(KeyError):
        del net._modules["1"]


def test_functions_of_all_tensors():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net(ag.randn(4, 2)).sum().backward()
    net._apply(lambda t: t.double() if t.is_floating_point() else t)
    assert {t.dtype.name for t in net.state_dict().values()} == {"float64", "int64"}
    assert all(p.grad.dtype == ag.float64 for p in net.parameters())
    before = net[0].weight
    assert net.to_empty(device="cpu") is net and net[0].weight is before and before.shape == (3, 2)
    with pytest.raises(ValueError, match="'cuda' is not known"):
        net.to_empty(device="cuda")
    assert net._get_name() == "Sequential" and net.share_memory() is net


class Renaming(nn.Module):
    """Loads states in which `scale` has the name `gamma`, and keeps a table that it saves as text."""

    _version = 2

    def __init__(self):
        self.scale, self.words, self.versions = nn.Parameter(ag.ones(2)), ["a"], []

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}words"] = " ".join(self.words)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        self.versions.append(local_metadata.get("version"))
        if f"{prefix}gamma" in state_dict:
            state_dict[f"{prefix}scale"] = state_dict.pop(f"{prefix}gamma")
        self.words = state_dict.pop(f"{prefix}words").split()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class ByItself(nn.Module):
    """Loads without the help of the class above it."""

    def __init__(self):
        self.packed, self.inner = nn.Parameter(ag.zeros(2)), nn.Linear(1, 1)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[f"{prefix}half"] = self.packed.detach() / 2

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        if f"{prefix}half" not in state_dict:
            missing.append(f"{prefix}half")
            return
        self.packed.data.copy_(ag.as_tensor(state_dict[f"{prefix}half"]) * 2)


def test_classes_may_save_and_load_their_own_part():
    net = nn.Sequential(Renaming(), nn.Linear(2, 2))
    net[0].words = ["x", "y"]
    state = net.state_dict()
    assert list(state) == ["0.scale", "0.words", "1.weight", "1.bias"] and state["0.words"] == "x y"
    state["0.gamma"] = state.pop("0.scale") * 3
    other = nn.Sequential(Renaming(), nn.Linear(2, 2))
    other.load_state_dict(state)
    assert other[0].scale.tolist() == [3, 3] and other[0].words == ["x", "y"] and "0.gamma" in state
    with pytest.raises(RuntimeError, match="missing: 0.scale"):
        other.load_state_dict({n: v for n, v in state.items() if n != "0.gamma"})


def test_classes_may_load_without_help():
    net = nn.Sequential(ByItself())
    with ag.no_grad():
        net[0].packed.fill_(4)
    state = net.state_dict()
    assert list(state) == ["0.half", "0.inner.weight", "0.inner.bias"]
    other = nn.Sequential(ByItself())
    other.load_state_dict(state)
    assert other[0].packed.tolist() == [4, 4] and other[0].inner.weight.tolist() == net[0].inner.weight.tolist()
    with pytest.raises(RuntimeError, match="missing: 0.half"):
        other.load_state_dict({n: v for n, v in state.items() if n != "0.half"})
    with pytest.raises(RuntimeError, match="unexpected: 0.inner.more"):
        other.load_state_dict(state | {"0.inner.more": ag.ones(1)})
    with pytest.raises(RuntimeError, match="unexpected: 1.half"):
        other.load_state_dict(state | {"1.half": ag.ones(1)})


def test_versions_of_the_modules_come_with_a_state_of_pytorch():
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):
        _version = 7

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(2))

    state = torch.nn.Sequential(Theirs()).state_dict()
    state["0.words"] = "a"
    ours = nn.Sequential(Renaming())
    ours.load_state_dict(state)
    assert ours[0].versions == [7]


def test_hooks_of_the_old_form():
    net, told = nn.Linear(1, 1), []
    net._register_load_state_dict_pre_hook(lambda state, prefix, *rest: told.append((prefix, len(rest))))
    net._register_state_dict_hook(lambda module, state, prefix, metadata: told.append(module))
    net.load_state_dict(net.state_dict())
    assert told == [net, ("", 5)]


class Child(nn.Module):
    def __init__(self, parent):
        self.parent = parent


def test_modules_that_are_inside_themselves_are_named():
    net = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    net[0].append(Child(net))
    net.train()
    assert len(list(net.modules())) == 4
    for name, use in {
        "state_dict": lambda: net.state_dict(),
        "load_state_dict": lambda: net.load_state_dict({}),
        "repr": lambda: repr(net),
        "apply": lambda: net.apply(lambda m: None),
    }.items():
        with pytest.raises(
            RuntimeError, match=rf"^{name}: '[0-9.]*parent[0-9.]*' leads back .* self.parent = \[parent\]"
        ):
            use()
    net[0][1] = Child([net])
    assert list(net.state_dict()) == ["0.0.weight", "0.0.bias"] and "Child()" in repr(net)


def test_layers_by_pytorchs_files():
    assert nn.modules.Linear is nn.modules.linear.Linear is nn.Linear and nn.modules.Module is nn.modules.module.Module
    for name, layers in {
        "batchnorm._BatchNorm": (nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.SyncBatchNorm(2)),
        "conv._ConvNd": (nn.Conv1d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1)),
        "conv._ConvTransposeNd": (nn.ConvTranspose2d(1, 1, 1),),
        "instancenorm._InstanceNorm": (nn.InstanceNorm1d(2),),
        "loss._Loss": (nn.MSELoss(), nn.CrossEntropyLoss()),
        "loss._WeightedLoss": (nn.CrossEntropyLoss(),),
        "dropout._DropoutNd": (nn.Dropout2d(),),
        "pooling._AvgPoolNd": (nn.AvgPool1d(2), nn.AvgPool3d(2)),
        "rnn.RNNBase": (nn.LSTM(1, 1),),
    }.items():
        file, _, common = name.partition(".")
        kind = getattr(getattr(nn.modules, file), common)
        assert all(isinstance(layer, kind) for layer in layers) and not isinstance(nn.Linear(1, 1), kind)
    assert nn.modules.utils._pair(3) == (3, 3) and nn.modules.utils._pair((1, 2)) == (1, 2)


def test_every_file_of_pytorchs_layers_is_there():
    torch = pytest.importorskip("torch")
    for name, file in [(n, v) for n, v in vars(torch.nn.modules).items() if hasattr(v, "__spec__")]:
        classes = [v for v in vars(file).values() if isinstance(v, type) and v.__module__ == file.__name__]
        layers = [c.__name__ for c in classes if issubclass(c, torch.nn.Module) and hasattr(nn, c.__name__)]
        assert all(hasattr(getattr(nn.modules, name), layer) for layer in layers), name


def test_parameter_dicts_join_as_dicts_do():
    left, right = nn.ParameterDict({"a": ag.ones(1), "b": ag.ones(1)}), nn.ParameterDict({"b": ag.zeros(2)})
    joined, kept = left | right, left
    assert type(joined) is nn.ParameterDict and list(joined) == ["a", "b"] and joined["b"] is right["b"]
    assert left["b"].numel() == 1 and list(reversed(left)) == ["b", "a"]
    left |= {"c": ag.ones(3)}
    assert left is kept and isinstance(left["c"], nn.Parameter) and left.popitem()[0] == "c"
    assert ({"z": 1} | left)["a"] is left["a"] and left.fromkeys("xy", 3)["y"] == 3
    with pytest.raises(TypeError):
        left | [1]
    with pytest.raises(KeyError, match="is empty"):
        nn.ParameterDict().popitem()


@pytest.mark.parametrize("assign", [False, True])
def test_single_numbers_are_loaded_from_vectors_of_one(assign):
    net = nn.Module()
    net.scale = nn.Parameter(ag.tensor(0.0))
    net.register_buffer("count", ag.tensor(0))
    net.load_state_dict({"scale": np.array([2.0], np.float32), "count": np.array([3])}, assign=assign)
    assert net.scale.shape == net.count.shape == () and (net.scale.item(), net.count.item()) == (2, 3)
    with pytest.raises(RuntimeError, match=r"count: shape \(2,\) in the state, \(\) in the model"):
        net.load_state_dict({"scale": np.ones(1), "count": np.ones(2)})


def test_hooks_of_all_modules():
    """Before those of one; they end with their handles."""
    from nn.modules.module import (
        register_module_forward_hook,
        register_module_forward_pre_hook,
        register_module_full_backward_hook,
        register_module_full_backward_pre_hook,
    )

    net, seen = nn.Sequential(nn.Linear(1, 1), nn.ReLU()), []
    note = lambda when: lambda m, *rest: seen.append((when, type(m).__name__))
    net[1].register_forward_hook(note("own"))
    with (
        register_module_forward_pre_hook(note("before")),
        register_module_forward_hook(note("after")),
        register_module_full_backward_pre_hook(note("back")),
        register_module_full_backward_hook(note("done")),
    ):
        y = net(ag.ones(1, 1, requires_grad=True))
        forward = ["before Sequential", "before Linear", "after Linear", "before ReLU", "after ReLU", "own ReLU"]
        assert [" ".join(s) for s in seen] == [*forward, "after Sequential"]
        seen.clear()
        y.sum().backward()
        assert seen[0] == ("back", "Sequential") and seen[-1] == ("done", "Sequential") and len(seen) == 6
    seen.clear()
    nn.Linear(1, 1)(ag.ones(1, 1, requires_grad=True)).sum().backward()
    net(ag.ones(1, 1))
    assert seen == [("own", "ReLU")]


def test_states_know_the_versions_of_modules():
    class Second(nn.Linear):
        _version = 2

    net = nn.Sequential(nn.ReLU(), Second(1, 1))
    state = net.state_dict()
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    assert pickle.loads(pickle.dumps(state))._metadata == copy.deepcopy(state)._metadata == state._metadata
    assert net.load_state_dict(state) == ([], [])


def test_there_is_one_device():
    net = nn.DataParallel(nn.Linear(2, 3), device_ids=[0])
    assert list(net.state_dict()) == ["module.weight", "module.bias"]
    x = ag.ones(1, 2)
    assert net(x).tolist() == net.module(x).tolist()
    with pytest.raises(AttributeError, match="one device and one process; use the module itself"):
        _ = nn.parallel
