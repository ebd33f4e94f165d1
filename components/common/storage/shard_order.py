"""In which shard an example is, and where there: both follow from a hash of its id."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator

from components.common.storage.set_aside import Aside, read_set_aside

Placed = tuple[bytes, bytes | Aside]  # (id, serialized tf.Example or where it is)


def with_shard(example: Placed, num_shards: int) -> tuple[int, Placed]:
    """Returns an example with the number of its shard."""
    return int.from_bytes(_digest(example[0])[:8], "big") % num_shards, example


def in_order(examples: Iterable[Placed]) -> Iterator[bytes]:
    """Yields the serialized examples of a shard in their order; content breaks ties."""
    for _, same in itertools.groupby(sorted(examples, key=_place_in_shard), key=_place_in_shard):
        yield from sorted(content if isinstance(content, bytes) else read_set_aside(content) for _, content in same)


def _place_in_shard(example: Placed) -> tuple[bytes, bytes]:
    # The last 8 bytes: the first ones chose the shard.
    return _digest(example[0])[-8:], example[0]


def _digest(example_id: bytes) -> bytes:
    return hashlib.sha256(example_id).digest()
