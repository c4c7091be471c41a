"""Functions of the interpreter's own that look at objects.  Imports Numba, and is itself imported when they are wanted."""

from __future__ import annotations

from numba import types

attribute = types.ExternalFunction("PyObject_GetAttr", types.intp(types.intp, types.intp))
let_go = types.ExternalFunction("Py_DecRef", types.void(types.intp))
forget_error = types.ExternalFunction("PyErr_Clear", types.void())
named = types.ExternalFunction("PyDict_GetItem", types.intp(types.intp, types.intp))
names = types.ExternalFunction("PyDict_Size", types.intp(types.intp))
following = types.ExternalFunction("PyDict_Next", types.int32(*[types.intp] * 4))
length = types.ExternalFunction("PyList_Size", types.intp(types.intp))
entry = types.ExternalFunction("PyList_GetItem", types.intp(types.intp, types.intp))
copy = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))
