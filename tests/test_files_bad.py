"""Damaged and hostile files are refused with an error that says what is wrong; NumPy's files are read."""

import io
import json
import struct
import zipfile
import zlib

import handmade as hand
import numpy as np
import pytest
from handmade import loaded, same, saved
from record_files import FOLDER

from nn.files import FileError, load

# --- archives ---


def ended(data: bytes, **changes: int) -> bytes:
    """An archive with other numbers in its end: here, count, size, begin, comment."""
    names = ["signature", "disk", "first", "here", "count", "size", "begin", "comment"]
    values = dict(zip(names, struct.unpack("<4s4H2IH", data[-22:]))) | changes
    return data[:-22] + struct.pack("<4s4H2IH", *values.values())


def patched(data: bytes, signature: bytes, offset: int, new: bytes, which: int = 0) -> bytes:
    """An archive with other bytes at an offset from one of its headers."""
    place = -1
    for _ in range(which + 1):
        place = data.index(signature, place + 1)
    return data[: place + offset] + new + data[place + offset + len(new) :]


NPY = io.BytesIO()
np.save(NPY, np.arange(3.0))
NPY = NPY.getvalue()
TWO = hand.zipped([("a.npy", NPY), ("b.npy", NPY)])
CENTRAL, LOCAL = b"PK\1\2", b"PK\3\4"
BAD_ARCHIVES = {
    "cut short": (TWO[:-30], "has no end"),
    "no end": (TWO[:100], "has no end"),
    "more after the end": (TWO + b"x", "is not at the end of the file"),
    "several parts": (ended(TWO, disk=1), "one of several parts"),
    "many entries": (ended(TWO, here=60000, count=60000), "60000 entries in"),
    "fewer entries": (ended(TWO, here=1, count=1), "bytes after the last entry"),
    "a far directory": (ended(TWO, begin=2**31), "its directory would be at"),
    "a huge directory": (ended(TWO, size=2**31), "its directory would be at"),
    "a shifted directory": (ended(TWO, begin=5), "has no entry at 0|bytes after"),
    "a large archive that is none": (ended(TWO, begin=2**32 - 1), "should be the locator"),
    "twice": (hand.zipped([("a.npy", NPY)]) and patched(patched(TWO, b"b.npy", 0, b"a"), b"b.npy", 0, b"a"), "stands twice"),
    "another name": (patched(TWO, LOCAL, 30, b"c"), "something else is there"),
    "over each other": (patched(TWO, CENTRAL, 42, bytes(4), which=1), "something else is there"),
    "beyond the file": (patched(TWO, CENTRAL, 42, b"\xf0\xff\xff\x7f"), "would be bytes"),
    "longer than the file": (patched(TWO, CENTRAL, 20, b"\xf0\xff\xff\x7f\xf0\xff\xff\x7f"), "inside the directory"),
    "overlapping": (patched(TWO, CENTRAL, 20, struct.pack("<2I", 300, 300)), "overlap at"),
    "two sizes": (patched(TWO, CENTRAL, 24, b"\xf0\xff\xff\x7f"), "is said to have"),
    "encrypted": (patched(TWO, CENTRAL, 8, b"\x01"), "is encrypted"),
    "an unknown method": (patched(TWO, CENTRAL, 10, b"\x0c"), "compressed by method 12"),
    "a wrong checksum": (patched(TWO, CENTRAL, 16, b"\0\0\0\0"), "its checksum does not fit"),
    "damaged": (patched(TWO, b"\x93NUMPY", 130, b"!"), "its checksum does not fit"),
    "a name that is no text": (patched(TWO, CENTRAL, 46, b"\xff"), "not UTF-8"),
    "no size": (patched(TWO, CENTRAL, 24, b"\xff\xff\xff\xff"), "lacks its size"),
    "a compressed checkpoint": (hand.zipped([("a/data.pkl", b"\x80\x02N.")], zipfile.ZIP_DEFLATED), "is compressed, which torch"),
    "two descriptions": (hand.zipped([("a/data.pkl", b"N."), ("b/data.pkl", b"N.")]), "one entry data.pkl"),
    "a deep description": (hand.zipped([("a/b/data.pkl", b"N.")]), "one entry data.pkl"),
    "something else": (hand.zipped([("word/document.xml", b"")]), "neither a checkpoint of PyTorch nor arrays of NumPy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives_are_refused(case):
    data, words = BAD_ARCHIVES[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*({words})"):
        loaded(data)


def test_large_archives_and_comments_are_read(tmp_path):
    """The numbers of large archives stand elsewhere; here they are small, but stand there too."""
    begin = TWO.index(CENTRAL)
    second = TWO.index(CENTRAL, begin + 1)
    size, where = len(NPY), struct.unpack_from("<I", TWO, second + 42)[0]
    extra = struct.pack("<2HI", 9, 4, 1) + struct.pack("<2H3Q", 1, 24, size, size, where)
    entry = bytearray(TWO[second : len(TWO) - 22] + extra)
    entry[20:28], entry[42:46], entry[30:32] = b"\xff" * 8, b"\xff" * 4, struct.pack("<H", len(extra))
    text = TWO[begin:second] + bytes(entry)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(text), begin)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, begin + len(text), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 7) + b"comment"
    whole = TWO[:begin] + text + end64 + locator + end
    assert zipfile.ZipFile(io.BytesIO(whole)).namelist() == ["a.npy", "b.npy"]
    assert same({"a": np.arange(3.0), "b": np.arange(3.0)}, loaded(whole))
    for bad in (whole.replace(b"PK\6\6", b"PK\6\5"), whole[: begin + 5] + whole[begin + 20 :]):
        with pytest.raises(FileError):
            loaded(bad)


def test_names_in_archives_are_only_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../up.npy", "/root.npy", "C:\\x.npy", ".npy", "a/../b.npy"]
    assert list(loaded(hand.zipped((name, NPY) for name in names))) == [name[:-4] for name in names]
    assert list(tmp_path.iterdir()) == []


# --- NumPy's files ---


def npy(array, version=None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def dialect(header: str, data: bytes = bytes(24)) -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_single_arrays_of_numpy(version):
    for array in (
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.ones((2, 3))),
        np.array(3),
        np.arange(3, dtype=">c16"),
        np.zeros((0, 2), bool),
    ):
        assert same(array, loaded(npy(array, version)))


def test_archives_of_numpy(tmp_path):
    golden = {"a": np.arange(3.0), "b": np.arange(6, dtype=np.int32).reshape(2, 3)}
    for mmap in (False, True):
        assert same(golden, load(FOLDER / "arrays.npz", mmap=mmap))
    np.savez_compressed(tmp_path / "x", a=np.arange(1000.0), zeros=np.zeros(100_000))
    assert same({"a": np.arange(1000.0), "zeros": np.zeros(100_000)}, load(tmp_path / "x.npz"))


def test_dialects_of_headers():
    for header in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n",
        "{'shape':(3L,),'fortran_order':False,'descr':'<f8'}",
        '{"descr" : "<f8" , "fortran_order" : False , "shape" : ( 3 , ) }   \n',
        "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 3)}",
    ):
        assert loaded(dialect(header)).numel() == 3


DESCRIBED = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"
BAD_NPY = {
    "objects": (npy(np.array([1, "x"], object)), "holds objects, which only pickle can read"),
    "text": (npy(np.array(["x"])), "holds text"),
    "bytes": (npy(np.array([b"x"])), "holds bytes"),
    "records": (npy(np.zeros(1, [("a", "f4")])), "its header is"),
    "times": (npy(np.array(["2020-01-01"], "M8[D]")), "numbers of type '<M8"),
    "long doubles": (npy(np.ones(1, np.longdouble)), "numbers of type '<f16'"),
    "cut short": (npy(np.ones(3))[:-1], "takes 24 bytes, and after its header are 23"),
    "more": (npy(np.ones(3)) + b"x", "after its header are 25"),
    "an unknown version": (b"\x93NUMPY\x07\0" + npy(np.ones(3))[8:], "formats 1 to 3"),
    "a long header": (b"\x93NUMPY\1\0\xff\xff" + bytes(70000), "said to have 65535 bytes"),
    "a very long header": (b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(100), "said to have 4294967295 bytes"),
    "an expression": (dialect(DESCRIBED.replace("(3,)", "(1+2,)")), "its header is"),
    "a call": (dialect(DESCRIBED.replace("(3,)", "print()")), "its header is"),
    "a negative size": (dialect(DESCRIBED.replace("(3,)", "(-3,)")), "its header is"),
    "a huge size": (dialect(DESCRIBED.replace("(3,)", "(4611686018427387904, 4)")), "larger than any memory"),
    "a very long size": (dialect(DESCRIBED.replace("(3,)", "(" + "9" * 5000 + ",)")), "its header is"),
    "twice": (dialect(DESCRIBED.replace("}", "'shape': (3,)}")), "its header is"),
    "something more": (dialect(DESCRIBED.replace("}", "'more': True}")), "its header is"),
    "something after": (dialect(DESCRIBED + "{}"), "its header is"),
    "nothing": (dialect(""), "its header is"),
    "truth that is none": (npy(np.zeros(2, bool))[:-1] + b"\x07", "entry 1 is the byte 7"),
    "in an archive": (hand.zipped([("a.npy", b"x" * 200)]), "'a.npy' does not begin"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPY)
def test_bad_arrays_of_numpy_are_refused(case):
    data, words = BAD_NPY[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*{words}"):
        loaded(data)


def test_archives_that_unfold_to_more_than_is_let(monkeypatch):
    header = dialect(DESCRIBED.replace("(3,)", f"({2**24},)"), b"")
    bomb = hand.zipped([("a.npy", header + bytes(2**27))], zipfile.ZIP_DEFLATED)
    with pytest.raises(
        FileError, match=r"'a.npy' unfolds \d+ bytes to 1342\d+, more than the 67108864 that are let.*numpy.load"
    ):
        loaded(bomb)
    small = hand.zipped([("a.npy", npy(np.zeros(3)))], zipfile.ZIP_DEFLATED)
    for size, words in ((2**26, "does not unfold"), (5, "does not unfold"), (2**27, "more than the")):
        with pytest.raises(FileError, match=words):
            loaded(patched(small, CENTRAL, 24, struct.pack("<I", size)))
    with pytest.raises(FileError, match="is damaged|does not unfold"):
        loaded(patched(small, LOCAL, 45, b"\xff\xff\xff\xff"))
    machine, data = zlib.compressobj(wbits=-15), npy(np.zeros(3))
    more = hand.zipped([("a.npy", machine.compress(data) + machine.flush() + b"more")])
    more = patched(patched(more, CENTRAL, 10, b"\x08"), CENTRAL, 24, struct.pack("<I", len(data)))
    with pytest.raises(FileError, match="does not unfold"):
        loaded(patched(more, CENTRAL, 16, struct.pack("<I", zlib.crc32(data))))
    monkeypatch.setattr("nn.files.npz._ALWAYS", 1000)
    monkeypatch.setattr("nn.files.npz._UNFOLDS", 0)
    several = hand.zipped([(f"{i}.npy", npy(np.zeros(40))) for i in range(9)], zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match="'2.npy' unfolds"):  # all together may not be more
        loaded(several)


# --- bad safetensors ---

INFO = hand.tensor_info
SOUND = {"a": INFO("F32", [2], 0, 8), "b": INFO("U8", [1], 8, 9)}
BAD_SAFETENSORS = {
    "a long header": (hand.safetensors(b"{}", length=3), "the header would be bytes 8 to 11 of a file that has 10"),
    "a huge header": (hand.safetensors(b"{}", length=2**63), "has at most 100000000"),
    "a short header": (hand.safetensors(b'{"a":{}}', length=4), "its header: "),
    "not text": (hand.safetensors(b'{"\xff":1}'), "its header: 'utf-8'"),
    "not JSON": (hand.safetensors(b"{1}"), "its header: Expecting property name"),
    "not an object": (hand.safetensors(b"{}") and hand.safetensors(b'{"a":[1,2]}'), "tensor 'a' should have dtype"),
    "deep": (hand.safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested too deeply"),
    "twice": (hand.safetensors(b'{"a":1,"a":2}'), "'a' stands twice"),
    "twice inside": (hand.safetensors(b'{"a":{"dtype":"U8","dtype":"U8"}}'), "'dtype' stands twice"),
    "an unknown type": (hand.safetensors({"a": INFO("F128", [1], 0, 16)}, bytes(16)), "has the type 'F128', and known are"),
    "a packed type": (hand.safetensors({"a": INFO("F4", [2], 0, 1)}, b"x"), "has the type 'F4'"),
    "a type that is none": (hand.safetensors({"a": INFO([], [1], 0, 1)}, b"x"), "has the type"),
    "a negative size": (hand.safetensors({"a": INFO("U8", [-1], 0, 1)}, b"x"), "should be a list of sizes"),
    "a broken size": (hand.safetensors({"a": INFO("U8", [1.0], 0, 1)}, b"x"), "should be a list of sizes"),
    "a true size": (hand.safetensors({"a": INFO("U8", [True], 0, 1)}, b"x"), "should be a list of sizes"),
    "no shape": (hand.safetensors({"a": INFO("U8", None, 0, 1)}, b"x"), "should be a list of sizes"),
    "a huge shape": (hand.safetensors({"a": INFO("U8", [2**32, 2**32], 0, 1)}, b"x"), "larger than any memory"),
    "a huge empty shape": (hand.safetensors({"a": INFO("U8", [0, 2**62, 2**62], 0, 0)}), "larger than any memory"),
    "a shape of many": (hand.safetensors({"a": INFO("U8", [1] * 65, 0, 1)}, b"x"), "has 65 axes"),
    "a large shape": (hand.safetensors({"a": INFO("U8", [10**12], 0, 1)}, b"x"), "takes 1000000000000 bytes, and has 1"),
    "a wrong shape": (hand.safetensors({"a": INFO("F32", [2], 0, 4)}, b"xxxx"), "takes 8 bytes, and has 4"),
    "one offset": (hand.safetensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}, b"x"), "two data_offsets"),
    "broken offsets": (hand.safetensors({"a": INFO("U8", [1], 0.0, 1)}, b"x"), "two data_offsets"),
    "negative offsets": (hand.safetensors({"a": INFO("U8", [1], -1, 0)}, b"x"), "data_offsets -1 to 0"),
    "offsets backwards": (hand.safetensors({"a": INFO("U8", [1], 1, 0)}, b"x"), "data_offsets 1 to 0"),
    "offsets outside": (hand.safetensors({"a": INFO("U8", [2], 0, 2)}, b"x"), "0 to 2, and there are 1 bytes"),
    "huge offsets": (hand.safetensors({"a": INFO("U8", [1], 2**70, 2**70 + 1)}, b"x"), "and there are 1 bytes"),
    "a gap": (hand.safetensors({"a": INFO("U8", [1], 1, 2)}, b"xy"), "begins at 1 of the data: what is at 0 belongs to no"),
    "a gap between": (hand.safetensors(SOUND | {"b": INFO("U8", [1], 9, 10)}, bytes(10)), "begins at 9 .* at 8 belongs to no"),
    "one in another": (hand.safetensors(SOUND | {"b": INFO("U8", [1], 7, 8)}, bytes(8)), "at 7 is in a tensor before"),
    "something after": (hand.safetensors(SOUND, bytes(10)), "at 9 of the data, 1 bytes are left over"),
    "cut short": (hand.safetensors(SOUND, bytes(8)), "'b' has data_offsets 8 to 9, and there are 8 bytes"),
    "a name that is none": (hand.safetensors(b'{"\\ud800":{}}'), "should have dtype"),
    "metadata of numbers": (hand.safetensors({"__metadata__": {"a": 1}}), "__metadata__ should name strings"),
    "metadata that is none": (hand.safetensors({"__metadata__": "x"}), "__metadata__ should name strings"),
    "no dtype": (hand.safetensors({"a": {"shape": [1], "data_offsets": [0, 1]}}, b"x"), "should have dtype"),
    "infinity": (hand.safetensors(b'{"a":Infinity}'), "Infinity is no number"),
    "a very long number": (hand.safetensors(b'{"a":' + b"9" * 5000 + b"}"), "its header: "),
    "truth that is none": (hand.safetensors({"a": INFO("BOOL", [2], 0, 2)}, b"\1\2"), "'a': entry 1 is the byte 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SAFETENSORS)
def test_bad_safetensors_are_refused(case, tmp_path):
    data, words = BAD_SAFETENSORS[case]
    with pytest.raises(FileError, match=f"^load: <BytesIO>: .*{words}"):
        loaded(data)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    for mmap in (False, True):
        with pytest.raises(FileError, match=f"^load: {path}: .*{words}"):
            load(path, mmap=mmap)


def described(value, arrays: dict) -> bytes:
    """A file whose state is described by a text of ours."""
    text = value if isinstance(value, str) else json.dumps(value)
    plain = saved(arrays)
    length = int.from_bytes(plain[:8], "little")
    header = {"__metadata__": {"nn.structure": text}} | json.loads(plain[8 : 8 + length])
    return hand.safetensors(header, plain[8 + length :])


BAD_DESCRIPTIONS = {
    "no JSON": "{",
    "deep": json.loads("[" * 200 + "]" * 200),
    "very deep": "[" * 100_000,
    "an unknown kind": {"function": "os.system"},
    "two kinds": {"tuple": [], "float": "00"},
    "no kind": {},
    "no tensor": {"tensor": "b"},
    "a tensor that is none": {"tensor": ["a"]},
    "no complex tensor": {"complex128": "a"},
    "no pairs": {"dict": [["a"]]},
    "no list of pairs": {"dict": {"a": 1}},
    "a list as a key": {"dict": [[[], 1], ["x", {"tensor": "a"}]]},
    "a tensor as a key": {"dict": [[{"tensor": "a"}, 1]]},
    "a list in a key": {"dict": [[{"tuple": [[]]}, 1]]},
    "a key twice": {"dict": [["x", 1], ["x", {"tensor": "a"}]]},
    "no tuple": {"tuple": {}},
    "no float": {"float": "nan"},
    "a short float": {"float": "00"},
    "a float that is none": {"float": 1.5},
    "no complex": {"complex": "00"},
    "a number of an unknown type": {"number": ["object", "00"]},
    "a number that is none": {"number": ["float32", "00"]},
    "truth that is none": {"number": ["bool", "07"]},
    "a tensor without a place": [],
    "infinity": "[Infinity]",
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_bad_descriptions_of_states_are_refused(case, tmp_path):
    value = BAD_DESCRIPTIONS[case]
    with pytest.raises(FileError, match="description of its state"):
        loaded(described(value, {"a": np.ones(3)}))


def test_unknown_files_say_what_is_understood(tmp_path):
    for data, words in (
        (b"", "it is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "it begins with b'.*HDF.*what can be read is safetensors"),
    ):
        with pytest.raises(FileError, match=words):
            loaded(data)
        (tmp_path / "x.safetensors").write_bytes(data)
        for mmap in (False, True):
            with pytest.raises(FileError, match=words):
                load(tmp_path / "x.safetensors", mmap=mmap)
    for size in range(40):
        with pytest.raises(FileError):
            loaded(bytes(size))


@pytest.mark.parametrize("depth", range(10, 1000, 7))
def test_nests_of_any_depth_are_refused_alike(depth):
    nest = b"[" * depth + b"]" * depth
    for header in (
        b'{"a":' + nest + b"}",
        b'{"a":{"dtype":"U8","shape":' + nest + b',"data_offsets":[0,0]}}',
        b'{"__metadata__":' + nest + b"}",
    ):
        with pytest.raises(FileError):
            loaded(hand.safetensors(header))
    for kind in ("tensor", "dict", "number", "float", "unknown"):
        with pytest.raises(FileError):
            loaded(described(f'{{"{kind}":{nest.decode()}}}', {"a": np.ones(1)}))
