"""Reads tensors from a legacy PyTorch file without PyTorch, and without running code that the pickle names.

The format is that of `torch.save` before 1.6: five pickles (magic number, protocol, system facts, the state dict,
storage keys), then each storage as an int64 count and its raw elements.
"""

import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION: Final = 1001
_STORAGE_DTYPES: Final = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype


class _TensorView(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor_v2(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _TensorView:
    return _TensorView(storage, offset, tuple(shape), tuple(strides))


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles a state dict of float and int64 tensors; refuses any other global."""

    _ALLOWED: Final[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
        **{("torch", name): dtype for name, dtype in _STORAGE_DTYPES.items()},
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused to load {module_name}.{global_name} from a weights file") from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str() as key, str(), int(), None):
                return _Storage(key, dtype)
        raise pickle.UnpicklingError(f"expected a tensor storage in a weights file, found {pid!r}")


def read_torch_weights(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Reads a state dict: float32 or int64 arrays by name, in PyTorch's shapes.

    Raises pickle.UnpicklingError if the file has another format or holds more than tensors.
    """

    def unpickle() -> Any:
        return RestrictedUnpickler(file).load()

    if unpickle() != _MAGIC_NUMBER or unpickle() != _PROTOCOL_VERSION:
        raise pickle.UnpicklingError("not a legacy PyTorch file")
    unpickle()  # system facts, such as the byte order
    tensors: dict[str, _TensorView] = unpickle()
    keys: list[str] = unpickle()
    dtypes = {view.storage.key: view.storage.dtype for view in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    return {name: _as_array(view, storages[view.storage.key]) for name, view in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise pickle.UnpicklingError("the weights file ends in the middle of a tensor")
    return np.frombuffer(data, dtype)


def _as_array(view: _TensorView, storage: NDArray[Any]) -> NDArray[Any]:
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if min((view.offset, *view.shape, *view.strides)) < 0 or last >= storage.size:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    byte_strides = [stride * storage.itemsize for stride in view.strides]
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, byte_strides).copy()
