"""What torchvision's models are and compute, recorded: `python tests/record_models.py` where torchvision is installed."""

import gzip
import json
from pathlib import Path

import numpy as np

RECORD = Path(__file__).parent / "data" / "torchvision.json.gz"
NAMES = """
    alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn googlenet inception_v3
    resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d wide_resnet50_2 mobilenet_v2
""".split()
SIZES = {"resnet18": 64, "resnet50": 64, "mobilenet_v2": 64, "googlenet": 64, "inception_v3": 75}  # of those called


def values(shapes):
    """A state of some numbers with which scores stay of their size."""
    rng, state = np.random.default_rng(0), {}
    for name, shape in shapes.items():
        x = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith("num_batches_tracked"):
            x = np.array(3)
        elif name.endswith("running_var"):
            x = np.abs(x) + 0.5
        elif len(shape) > 1:
            x *= np.sqrt(2 / np.prod(shape[1:]))
        else:
            x = x * 0.1 + name.endswith("weight")
        state[name] = x
    return state


def images(size):
    return np.random.default_rng(1).standard_normal((2, 3, size, size), dtype=np.float32)


def main():
    import torch
    from torchvision import models

    record = {"shapes": {}, "scores": {}}
    for name in NAMES:
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(models, name)(**options).eval()
        shapes = record["shapes"][name] = {k: list(v.shape) for k, v in model.state_dict().items()}
        if name in SIZES:
            model.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in values(shapes).items()})
            with torch.no_grad():
                scores = model(torch.from_numpy(images(SIZES[name]))).numpy()
            record["scores"][name] = scores[:, ::100].tolist()
    RECORD.write_bytes(gzip.compress(json.dumps(record).encode(), mtime=0))


if __name__ == "__main__":
    main()
