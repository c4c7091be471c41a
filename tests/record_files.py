"""Write the files in tests/data/files with the libraries they come from: python tests/record_files.py."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data" / "files"
METADATA = {"made": 'by "the reference", \u00e9\n'}


def arrays() -> dict[str, np.ndarray]:
    """An array of each type, without axes, without entries, and with names that JSON escapes."""
    types = "uint64 int64 float64 complex64 float32 uint32 int32 float16 uint16 int16 int8 uint8 bool".split()
    found = {f"of.{name}": np.arange(6).astype(name).reshape(2, 3) for name in types}
    found |= {
        "none": np.zeros((0, 3), np.float32),
        "one": np.array(-1.5, np.float32),
        'odd "\\/\t\u20ac\x7f': np.int8([1]),
    }
    return {name: found[name] for name in sorted(found, reverse=True)}


def main() -> None:
    """Write all of them."""
    import torch
    from safetensors.numpy import save_file

    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(arrays(), FOLDER / "types.safetensors", metadata=METADATA)

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        for count, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + count)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.25)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    whole = torch.arange(12.0).reshape(3, 4)
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": float("inf"),
        "views": [whole, whole[1:, ::2], whole.t(), torch.ones(1).expand(4)], "size": whole.shape,
        "bfloat16": torch.tensor([1.5, -2.0]).bfloat16(), "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        "conjugate": torch.tensor([1 + 2j]).conj(), "parameter": torch.nn.Parameter(torch.ones(2)), "dtype": torch.float32,
    }  # fmt: skip
    torch.save(state, FOLDER / "checkpoint.pt")
    torch.save({"a": torch.ones(2)}, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), FOLDER / "script.pt")
    np.savez(FOLDER / "arrays.npz", a=np.arange(3.0), b=np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)))


if __name__ == "__main__":
    main()
