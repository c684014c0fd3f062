"""Arrays out of a file that `torch.save` wrote before version 1.6, read without PyTorch.

Such a file is a row of pickles, and a pickle may run any code: here it may name six things, which all become plain
arrays or nothing, and whatever else it names is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
# What a storage's class name says of its numbers.
_NUMBERS: Final[dict[str, np.dtype[Any]]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view into a storage that is read later: shape and strides in numbers, not bytes."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """The named arrays of a state dictionary. Raises IncompatibleModel on anything else, before any of it is run."""
    file = io.BytesIO(content)
    try:
        if (_Plain(file).load(), _Plain(file).load()) != (_MAGIC, _PROTOCOL):
            raise IncompatibleModel("no file of torch.save in its format before 1.6")
        if not _Plain(file).load()["little_endian"]:
            raise IncompatibleModel("its numbers are big-endian; expected little-endian")
        named = _Weights(file)
        tensors, storages = named.load(), {}
        for key in _Plain(file).load():
            numbers = named.storages[key]
            (count,) = struct.unpack("<q", file.read(8))
            storages[key] = np.frombuffer(file.read(count * numbers.itemsize), dtype=numbers)
            if len(storages[key]) != count:
                raise IncompatibleModel("it is truncated")
        return {str(name): _cut(storages[tensor.storage], tensor) for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, EOFError, struct.error) as error:
        raise IncompatibleModel(f"no file of torch.save, or a damaged one: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise IncompatibleModel(f"it holds other things than named arrays: {type(error).__name__}") from error


def _cut(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """The part of a storage that a tensor is, in order; NumPy refuses (ValueError) what would reach beyond its end."""
    size = storage.itemsize
    strides = tuple(step * size for step in tensor.strides)
    return np.ndarray(tensor.shape, storage.dtype, storage.data, tensor.offset * size, strides).copy()


class _Plain(pickle.Unpickler):
    """Numbers, words, lists and dictionaries: nothing that has a name elsewhere."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Called for everything that a pickle names."""
        raise IncompatibleModel(f"it names {module}.{name}, which no file of weights needs; nothing of it was run")


class _Weights(_Plain):
    """A dictionary of tensors; the storages that they lie in are noted with the kind of their numbers."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The few names that weights need, each with what it becomes here."""
        if module == "torch" and name in _NUMBERS:
            return name
        allowed: dict[tuple[str, str], Callable[..., object]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _note_tensor,
        }
        if (module, name) not in allowed:
            super().find_class(module, name)
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> str:
        """Called where a pickle points outside itself: to a storage."""
        kind, numbers, key, _, _, view = pid
        if kind != "storage" or view is not None:
            raise IncompatibleModel("it points to something else than weights")
        self.storages[key] = _NUMBERS[numbers]
        return str(key)


def _note_tensor(storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
