"""What stands in for trained weights: models are made untrained, and load states that PyTorch's have saved."""

from __future__ import annotations

from typing import Any


def require_untrained(name: str, weights: Any, options: dict[str, Any]) -> None:
    """Raise unless a model is asked for without trained weights, also by `pretrained=`, as was said before `weights=`."""
    weights = options.pop("pretrained", False) or weights
    if weights is not None and weights is not False:
        raise ValueError(
            f"{name}: weights must be None, got {weights!r:.60}; trained weights do not come with this library. Names and "
            f"shapes are torchvision's, so a state saved there loads here: {name}().load_state_dict(state), where state "
            "is a dict of names and arrays"
        )
