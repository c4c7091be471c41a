"""Weights set to zero and kept there: which ones is in `weight_mask`, what they were in `weight_orig`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from autograd_core import Tensor, no_grad, norm, ones_like, rand, tensor

from ..module import Module
from .convert import parameters_to_vector
from .recomputed import Recomputed, hooks_of, parameter_of, unhook


class BasePruningMethod(Recomputed):
    """A way to choose what becomes zero: subclasses define `compute_mask`, and say what PRUNING_TYPE they are.

    "unstructured" methods are given the entries that are left, in a row; "structured" ones those channels along their
    `dim` that are left; "global" ones everything.
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: Any = None

    @property
    def name(self) -> Any:  # type: ignore[override]
        return self._tensor_name

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Ones and zeros of the shape of the scores t, zero where default_mask is."""
        raise TypeError(f"{type(self).__name__}: compute_mask is not defined; it says which entries stay")

    def apply_mask(self, module: Module) -> Tensor:
        """What is left of the tensor."""
        if self._tensor_name is None:
            raise ValueError(
                f"{type(self).__name__}: nothing has been pruned with it yet; use {type(self).__name__}.apply"
            )
        mask, original = (getattr(module, f"{self._tensor_name}_{part}") for part in ("mask", "orig"))
        return mask.to(original.dtype) * original

    compute_weight = apply_mask

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter, now and before each call; what was pruned already stays so."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        before = hooks_of(module, BasePruningMethod, name)
        original = getattr(module, f"{name}_orig") if before else parameter_of(module, name, cls.__name__)
        now = getattr(module, name)
        scores = scores_of(importance_scores, now, name)
        mask = getattr(module, f"{name}_mask").detach().clone() if before else ones_like(now).detach()
        with no_grad():
            choose = combined if before else type(method).compute_mask
            mask = choose(method, scores, mask).detach()
        hook = method
        if before:
            hook = before[0] if isinstance(before[0], PruningContainer) else PruningContainer(before[0])
            hook.add_pruning_method(method)
            unhook(module, before[0])
        else:
            delattr(module, name)
            module.register_parameter(f"{name}_orig", original)
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, hook.apply_mask(module))
        module.register_forward_pre_hook(hook)
        return hook

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor pruned, without a module."""
        scores = scores_of(importance_scores, t, "t")
        return t * self.compute_mask(
            scores, default_mask=ones_like(t).detach() if default_mask is None else default_mask
        )

    def remove(self, module: Any) -> None:
        """Make the parameter an ordinary one again; what is zero stays zero, but may be trained."""
        weight, name = self.apply_mask(module).detach(), self._tensor_name
        original = getattr(module, f"{name}_orig")
        for part in (name, f"{name}_orig", f"{name}_mask"):
            delattr(module, part)
            module._buffer_names.pop(part, None)
        original.data = weight
        setattr(module, name, original)


def scores_of(given: Tensor | None, t: Tensor, name: str) -> Tensor:
    """What the choice goes by: the tensor itself, unless something else is given."""
    if given is not None and given.shape != t.shape:
        raise ValueError(
            f"prune: importance_scores must have the shape of {name}, {tuple(t.shape)}, got {tuple(given.shape)}"
        )
    return (t if given is None else given).detach()


def combined(method: Any, scores: Tensor, mask: Tensor) -> Tensor:
    """A mask made smaller by a method that is shown only what the mask has left."""
    if method.PRUNING_TYPE == "unstructured":
        place: Any = mask == 1
    elif method.PRUNING_TYPE == "structured":
        dim = method.dim
        if not -scores.ndim <= dim < scores.ndim:
            raise IndexError(f"prune: dim={dim}, but the tensor has {scores.ndim} axes")
        axes = [a for a in range(scores.ndim) if a != dim % scores.ndim]
        place = [slice(None)] * scores.ndim
        place[dim] = mask.sum(axes) != 0
        place = tuple(place)
    elif method.PRUNING_TYPE == "global":
        place = slice(None)
    else:
        raise ValueError(
            f"{type(method).__name__}: PRUNING_TYPE must be 'unstructured', 'structured' or 'global', "
            f"got {method.PRUNING_TYPE!r}"
        )
    whole = mask.to(scores.dtype).clone()
    whole[place] = method.compute_mask(scores[place], default_mask=whole[place])
    return whole


class PruningContainer(BasePruningMethod):
    """Several ways to prune one tensor, one after the other."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, *args: Any):
        self._pruning_methods: tuple = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """One more, the last."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method).__name__} is not a BasePruningMethod")
        if method is not None and method._tensor_name != self._tensor_name:
            raise ValueError(
                f"PruningContainer: its methods prune {self._tensor_name!r}, this one prunes {method._tensor_name!r}"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method, applied to what the others have left."""
        return combined(self._pruning_methods[-1], t, default_mask)


# --- ways to choose --------------------------------------------------------------------------------------------------


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the mask and the hook."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any):
        self.mask = mask if isinstance(mask, Tensor) else tensor(mask)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if self.mask.shape != default_mask.shape:
            raise ValueError(f"custom_from_mask: the mask is {tuple(self.mask.shape)}, the tensor {tuple(t.shape)}")
        return default_mask * self.mask.to(default_mask.dtype)


class RandomUnstructured(BasePruningMethod):
    """Prunes some entries, drawn at random."""

    def __init__(self, amount: float):
        self.amount = checked(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return without(default_mask, rand(t.numel()).numpy(), counted(self.amount, t.numel()))


class L1Unstructured(BasePruningMethod):
    """Prunes the smallest entries."""

    def __init__(self, amount: float):
        self.amount = checked(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return without(default_mask, np.abs(t.detach().numpy()).ravel(), counted(self.amount, t.numel()))


class RandomStructured(BasePruningMethod):
    """Prunes some channels along an axis, drawn at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1):
        self.amount, self.dim = checked(amount), dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        channels = channels_of(t, self.dim)
        return without_channels(default_mask, rand(channels).numpy(), counted(self.amount, channels), self.dim)


class LnStructured(BasePruningMethod):
    """Prunes those channels along an axis whose norm of order n is smallest."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: Any, dim: int = -1):
        self.amount, self.n, self.dim = checked(amount), n, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        channels = channels_of(t, self.dim)
        others = [a for a in range(t.ndim) if a != self.dim % t.ndim]
        size = norm(t.detach(), p=self.n, dim=others).numpy()
        return without_channels(default_mask, size, counted(self.amount, channels), self.dim)


def checked(amount: Any) -> Any:
    """How much is to be pruned: a share from 0 to 1, or a number of entries or channels."""
    if not isinstance(amount, (int, float, np.number)):
        raise TypeError(f"prune: amount must be a number, got {type(amount).__name__} {amount!r:.40}")
    if amount < 0 or amount > 1 and not isinstance(amount, (int, np.integer)):
        raise ValueError(f"prune: amount must be a share from 0 to 1, or how many as a whole number, got {amount}")
    return amount


def counted(amount: Any, there: int) -> int:
    """How many of those that are there."""
    count = int(amount) if isinstance(amount, (int, np.integer)) else round(amount * there)
    if count > there:
        raise ValueError(f"prune: amount={amount}, but only {there} are left to prune")
    return count


def channels_of(t: Tensor, dim: int) -> int:
    """How many channels there are along an axis."""
    if t.ndim < 2:
        raise ValueError(f"prune: channels are those of tensors of two axes or more, got shape {tuple(t.shape)}")
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"prune: dim={dim}, but the tensor has {t.ndim} axes")
    return t.shape[dim]


def without(mask: Tensor, scores: np.ndarray, count: int) -> Tensor:
    """A mask without the entries of the lowest scores."""
    new = mask.detach().numpy().copy()
    new.reshape(-1)[np.argsort(scores, kind="stable")[:count]] = 0
    return tensor(new)


def without_channels(mask: Tensor, scores: np.ndarray, count: int, dim: int) -> Tensor:
    """A mask without the channels of the lowest scores."""
    new = mask.detach().numpy().copy()
    np.moveaxis(new, dim, 0)[np.argsort(scores, kind="stable")[:count]] = 0
    return tensor(new)


# --- functions -------------------------------------------------------------------------------------------------------


def identity(module: Module, name: str) -> Module:
    """Make the mask and the hook, and prune nothing."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune a share or a number of entries, drawn at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune a share or a number of entries, the smallest, or those of the smallest scores."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune a share or a number of channels along an axis, drawn at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune a share or a number of channels along an axis, those of the smallest norm of order n."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune what a mask says."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: Any,
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one: of `[(layer, "weight"), ...]`, by a class such as L1Unstructured."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured: expected pairs of modules and names, as in [(layer, 'weight'), ...]")
    if importance_scores is not None and not isinstance(importance_scores, Mapping):
        raise TypeError("global_unstructured: importance_scores must be a dict with (module, name) as keys")
    pairs, given = list(parameters), importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f"global_unstructured: the method must be 'unstructured', {pruning_method.__name__} is {method.PRUNING_TYPE!r}"
        )
    tensors = [getattr(module, name) for module, name in pairs]
    scores = [scores_of(given.get(pair), t, pair[1]) for pair, t in zip(pairs, tensors)]
    masks = [getattr(m, f"{n}_mask", None) for m, n in pairs]
    before = [ones_like(t).detach() if mask is None else mask for t, mask in zip(tensors, masks)]
    with no_grad():
        mask = combined(method, parameters_to_vector(scores), parameters_to_vector(before))
    start = 0
    for (module, name), t in zip(pairs, tensors):
        custom_from_mask(module, name, mask[start : start + t.numel()].reshape(t.shape))
        start += t.numel()


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter an ordinary one again; what is zero stays zero, but may be trained."""
    found = hooks_of(module, BasePruningMethod, name)
    if not found:
        raise ValueError(f"prune.remove: {name!r} of {type(module).__name__} is not pruned")
    found[0].remove(module)
    unhook(module, found[0])
    return module


def is_pruned(module: Module) -> bool:
    """Whether anything in a module is pruned."""
    return any(hooks_of(m, BasePruningMethod) for m in module.modules())
