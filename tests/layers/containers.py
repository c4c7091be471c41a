"""Modules that hold others, and those that only hold something for others: `tests/test_nn_module.py` is about them."""

CASES: list = []

LEFT_OUT = {
    "Module": "the base of all",
    "Sequential": "made of modules, which a line cannot say",
    "ModuleList": "not called",
    "ModuleDict": "not called",
    "ParameterList": "not called",
    "ParameterDict": "not called",
    "Container": "PyTorch's own name for Module of long ago, which warns",
    "DataParallel": "made of a module, which a line cannot say",
}
