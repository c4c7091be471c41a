"""What turns LLVM code into the processor's, and holds it; and Numba's settings, for which it need not be imported."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

SETTINGS = "CPU_NAME CPU_FEATURES OPT LOOP_VECTORIZE SLP_VECTORIZE BOUNDSCHECK DEBUGINFO"  # those that code depends on


@functools.cache
def settings() -> tuple:
    """Numba's version and what its settings are made of, as they stand in the environment or in a file."""
    found = importlib.util.find_spec("numba")
    version = Path(str(found and found.origin)).with_name("_version.py").read_bytes()
    file = Path(".numba_config.yaml")
    return version, *map(os.environ.get, [f"NUMBA_{n}" for n in SETTINGS.split()]), file.exists() and file.read_bytes()


def processor() -> tuple[str, str]:
    """The name and the features of the processor that code is made for."""
    config: Any = None
    if any(settings()[1:]):
        from numba import config
    name, features = config and config.CPU_NAME, config and config.CPU_FEATURES
    return name or llvm.get_host_cpu_name(), features or llvm.get_host_cpu_features().flatten()


@functools.cache
def machine() -> llvm.TargetMachine:
    """What turns LLVM code into the processor's."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = processor()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


@functools.cache
def engine() -> llvm.ExecutionEngine:
    """What holds the code."""
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())


def missing(needs: list[str]) -> bool:
    """Whether something that code needs from outside is not there; what Python has is found once there is an engine."""
    engine()
    return not all(map(llvm.address_of_symbol, needs))


def ready(code: bytes, names: list[str]) -> list[int]:
    """Where functions of some names are, in code that is put among what may run."""
    engine().add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine().finalize_object()
    return [engine().get_function_address(name) for name in names]
