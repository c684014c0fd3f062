"""Files of weights are read without PyTorch, and nothing that they name is run."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel
from xray_core.networks.lite.torch_file import read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Storage:
    """Stands in a pickle for numbers that follow it."""

    def __init__(self, key: str, kind: str) -> None:
        self.key, self.kind = key, kind


class Named:
    """Something that a pickle calls by its name, with arguments."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.module, self.name, self.arguments = module, name, arguments


def write_file(named: dict[str, Any], storages: dict[str, np.ndarray[Any, Any]], *, order: bool = True) -> bytes:
    """What torch.save wrote before 1.6, by the pickle's own operations: PyTorch is not there to write one."""
    file = io.BytesIO()
    for value in (MAGIC, PROTOCOL, {"little_endian": order}):
        file.write(pickle.dumps(value, protocol=2))
    file.write(b"\x80\x02" + write_value(named) + b".")
    file.write(pickle.dumps(list(storages), protocol=2))
    for numbers in storages.values():
        file.write(np.int64(len(numbers)).tobytes() + numbers.tobytes())
    return file.getvalue()


def write_value(value: Any) -> bytes:
    match value:
        case Storage():
            kind = f"ctorch\n{value.kind}\n".encode()
            return (
                b"(" + write_value("storage") + kind + b"".join(map(write_value, (value.key, "cpu", 0, None))) + b"tQ"
            )
        case Named():
            arguments = b"".join(map(write_value, value.arguments))
            return f"c{value.module}\n{value.name}\n".encode() + b"(" + arguments + b"tR"
        case dict():
            items = b"".join(write_value(key) + write_value(each) for key, each in value.items())
            return b"}(" + items + b"u"
        case tuple():
            return b"(" + b"".join(map(write_value, value)) + b"t"
        case _:
            return pickle.dumps(value, protocol=2)[2:-1]


def tensor(
    key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], kind: str = "FloatStorage"
) -> Named:
    hooks = Named("collections", "OrderedDict")
    return Named("torch._utils", "_rebuild_tensor_v2", Storage(key, kind), offset, shape, strides, False, hooks)


def test_arrays_come_out_as_they_lie_there_whatever_their_order() -> None:
    numbers = np.arange(12, dtype=np.float32)
    content = write_file(
        {
            "rows": tensor("1", 0, (3, 4), (4, 1)),
            "columns": tensor("1", 0, (4, 3), (1, 4)),
            "tail": tensor("1", 10, (2,), (1,)),
            "count": tensor("2", 0, (), (), "LongStorage"),
        },
        {"1": numbers, "2": np.array([7], dtype=np.int64)},
    )

    arrays = read_tensors(content)

    np.testing.assert_array_equal(arrays["rows"], numbers.reshape(3, 4))
    np.testing.assert_array_equal(arrays["columns"], numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(arrays["tail"], [10, 11])
    assert int(arrays["count"]) == 7


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_a_file_that_names_anything_else_is_refused_and_nothing_of_it_is_run(
    tmp_path: Path, module: str, name: str
) -> None:
    content = write_file({"weights": Named(module, name, f"touch {tmp_path / 'ran'}")}, {})

    with pytest.raises(IncompatibleModel, match=rf"it names {module}.{name}, which no file of weights needs"):
        read_tensors(content)
    assert not (tmp_path / "ran").exists()


def test_code_in_the_first_pickles_is_refused_too(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    with pytest.raises(IncompatibleModel, match=r"it names posix\.system"):
        read_tensors(pickle.dumps(Attack(), protocol=2))
    assert not (tmp_path / "ran").exists()


def test_an_array_that_reaches_beyond_its_numbers_is_refused() -> None:
    numbers = {"1": np.zeros(12, dtype=np.float32)}

    for shape, strides, offset in (((3, 5), (5, 1), 0), ((4,), (4,), 0), ((4,), (1,), 9), ((2,), (-1,), 0)):
        with pytest.raises(IncompatibleModel, match="other things than named arrays"):
            read_tensors(write_file({"weights": tensor("1", offset, shape, strides)}, numbers))


def test_every_cut_of_a_file_is_refused() -> None:
    content = write_file({"weights": tensor("1", 0, (3,), (1,))}, {"1": np.arange(3, dtype=np.float32)})

    for length in range(len(content)):
        with pytest.raises(IncompatibleModel):
            read_tensors(content[:length])


def test_a_state_that_is_no_dictionary_and_numbers_of_another_order_are_refused() -> None:
    with pytest.raises(IncompatibleModel, match="big-endian"):
        read_tensors(write_file({}, {}, order=False))
    with pytest.raises(IncompatibleModel, match=r"before 1\.6"):
        read_tensors(pickle.dumps({}, protocol=2) * 2)
