"""Print the table of docs/models.md: `python -m nn.models > docs/models.md`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core import tensor

from .. import init, models
from ..module import Module
from ..summary import summary

IMAGE = (1, 3, 224, 224)
HEAD = """# Models

`nn.models` has these, untrained. Where torchvision has a model, functions, arguments, names and shapes of the state are
torchvision's, so what was saved there loads with `load_state_dict`. Constructed inside `nn.init.skipped()` no numbers are
drawn, for models that are about to be loaded. Multiply-adds are those of one input of the size given, as `nn.summary`
counts them. `python -m nn.models` writes this page.

| model | parameters | input | multiply-adds |
| --- | ---: | --- | ---: |"""

# Name, how it is made, and what it is called on: a shape of images or a number of tokens.
ROWS: list[tuple[str, Callable[[], Module], Any]] = [
    ("LeNet5", models.LeNet5, (1, 1, 32, 32)),
    ("modern_lenet5", models.modern_lenet5, (1, 1, 32, 32)),
    ("alexnet_grouped", models.alexnet_grouped, IMAGE),
    *((name, getattr(models, name), IMAGE) for name in ("alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn")),
    *((name, getattr(models, name), IMAGE) for name in ("vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "googlenet")),
    ("inception_v3", models.inception_v3, (1, 3, 299, 299)),
    *((name, getattr(models, name), IMAGE) for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")),
    *((name, getattr(models, name), IMAGE) for name in ("resnext50_32x4d", "wide_resnet50_2")),
    *((name, getattr(models, name), IMAGE) for name in ("mobilenet_v1", "mobilenet_v2")),
    ("UNet", models.UNet, (1, 1, 572, 572)),
    *((f'gpt2("{size}")', lambda size=size: models.gpt2(size), 1024) for size in ("small", "medium")),  # type: ignore[misc]
    ("Bert", models.Bert, 512),
    ("BertForPretraining", lambda: models.BertForPretraining(models.Bert()), 512),
]


def row(name: str, make: Callable[[], Module], size: Any) -> str:
    """A line of the table."""
    with init.skipped():
        model = make().eval()
    for p in model.parameters():
        p.value[...] = 0  # numbers that happened to be in memory may be slow ones
    given = [tensor(np.zeros((1, size), np.int64))] if isinstance(size, int) else size
    found = summary(model, given, depth=0)
    told = f"{size} tokens" if isinstance(size, int) else " x ".join(map(str, size[1:]))
    return f"| `{name}` | {found.total_parameters:,} | {told} | {found.multiply_adds:,} |"


if __name__ == "__main__":
    print(HEAD)
    for each in ROWS:
        print(row(*each), flush=True)
