import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from components.modeling.backbones.torch_weights import read_torch_weights

MAGIC = 0x1950A86A20F9469CFC6C


def _weights_file(tensors: bytes, keys=(), storages=b""):
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, {"little_endian": True}))
    return io.BytesIO(head + tensors + pickle.dumps(list(keys), 2) + storages)


def _state_dict(shape, strides, offset=0, storage="FloatStorage"):
    """Returns the pickle of {'w': tensor}: written by hand, as this format's globals are PyTorch's."""
    numbers = b"".join(b"I%d\n" % number for number in shape)
    steps = b"".join(b"I%d\n" % number for number in strides)
    return (
        b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n"
        b"((X\x07\x00\x00\x00storagectorch\n" + storage.encode() + b"\nX\x01\x00\x00\x00kX\x03\x00\x00\x00cpuI6\nNtQ"
        b"I%d\n(" % offset + numbers + b"t(" + steps + b"t\x89ccollections\nOrderedDict\n)RtRu."
    )


def _storage(values):
    return len(values).to_bytes(8, "little") + values.tobytes()


def test_reads_a_transposed_view_and_an_offset():
    storage = _storage(np.arange(6, dtype="<f4"))
    transposed = read_torch_weights(_weights_file(_state_dict((2, 3), (1, 2)), ["k"], storage))
    np.testing.assert_array_equal(transposed["w"], [[0, 2, 4], [1, 3, 5]])
    shifted = read_torch_weights(_weights_file(_state_dict((2,), (1,), offset=4), ["k"], storage))
    np.testing.assert_array_equal(shifted["w"], [4, 5])


@pytest.mark.parametrize("callable_", [os.system, eval, print, np.fromfile])
def test_refuses_to_call_anything_else(callable_, tmp_path):
    class Malicious:
        def __reduce__(self):
            return callable_, (f"touch {tmp_path}/owned",)

    with pytest.raises(pickle.UnpicklingError, match="refused to load"):
        read_torch_weights(_weights_file(pickle.dumps(OrderedDict(w=Malicious()), 2)))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((7,), (1,), 0), ((2, 2), (1, 5), 0), ((1,), (1,), 6), ((2,), (-1,), 1)]
)
def test_refuses_a_tensor_beyond_its_storage(shape, strides, offset):
    file = _weights_file(_state_dict(shape, strides, offset), ["k"], _storage(np.arange(6, dtype="<f4")))
    with pytest.raises(pickle.UnpicklingError, match="beyond its storage"):
        read_torch_weights(file)


def test_refuses_a_truncated_or_foreign_file():
    storage = _storage(np.arange(6, dtype="<f4"))
    with pytest.raises(pickle.UnpicklingError, match="middle of a tensor"):
        read_torch_weights(_weights_file(_state_dict((6,), (1,)), ["k"], storage[:-1]))
    with pytest.raises(pickle.UnpicklingError, match="not a legacy PyTorch file"):
        read_torch_weights(io.BytesIO(pickle.dumps({"weights": 1})))
