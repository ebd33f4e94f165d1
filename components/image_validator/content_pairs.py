"""Which files are equal or show nearly the same picture, by their digests and perceptual hashes alone.

They travel packed as arrays: a group of Beam takes hundreds of bytes of memory for an element besides what is in it.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

# dHash must agree too, at up to twice pHash's distance. Measured on 227x227 photos of flowers: re-encoded and resized
# copies stay within 4 bits of pHash and 10 of dHash (99%: 4 and 4), recoloured ones within 4 and 8; among 5 million
# pairs of different photos none came that close.
_DHASH_FACTOR: Final = 2
_HASH_BITS: Final = 64
_DIGEST_BYTES: Final = 32
_CONTENT_BYTES: Final = _DIGEST_BYTES + 2 * _HASH_BITS // 8
# What is grouped is few and large: in memory, a group of Beam takes hundreds of bytes besides.
_PARTS: Final = 256

Content = tuple[bytes, bytes, bytes]  # (SHA-256, pHash, dHash) of a file
Part = tuple[int, int]  # (number of a band of the hash, a remainder of its bits)
Link = tuple[bytes, bytes]  # SHA-256 of two files that show the same picture


def pack_by_band(contents: Sequence[Content], num_bands: int) -> Iterator[tuple[Part, bytes]]:
    """Yields the contents of each part of each band as the bytes of an array: one by one they take far more."""
    rows = _as_rows(b"".join(itertools.chain.from_iterable(contents)), _CONTENT_BYTES)
    for band in range(num_bands):
        parts = _bits_in_band(rows, band, num_bands) % _PARTS
        for part in np.unique(parts):
            yield (band, int(part)), rows[parts == part].tobytes()


def links_in_band(element: tuple[Part, Iterable[bytes]], distance: int) -> Iterator[Link]:
    """Yields the links between the contents of one part; the same file may be in it several times."""
    (band, _), packed = element
    # Equal files have equal hashes.
    rows = np.unique(_as_rows(b"".join(packed), _CONTENT_BYTES), axis=0)
    bits = _bits_in_band(rows, band, distance + 1)
    order = np.argsort(bits, kind="stable")
    starts = np.flatnonzero(np.diff(bits[order])) + 1
    for same in np.split(order, starts):
        if len(same) > 1:
            yield from find_links([_as_content(row.tobytes()) for row in rows[same]], distance)


def _bits_in_band(rows: np.ndarray, band: int, num_bands: int) -> np.ndarray:
    low, high = (_HASH_BITS * edge // num_bands for edge in (band, band + 1))
    phashes = rows[:, _DIGEST_BYTES : _DIGEST_BYTES + _HASH_BITS // 8].copy().view(">u8")[:, 0].astype(np.uint64)
    return phashes >> np.uint64(low) & np.uint64((1 << high - low) - 1)


def _as_content(row: bytes) -> Content:
    phash = _DIGEST_BYTES + _HASH_BITS // 8
    return row[:_DIGEST_BYTES], row[_DIGEST_BYTES:phash], row[phash:]


def pack_by_digest(digests: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yields digests by their first byte, as the bytes of an array."""
    rows = _as_rows(b"".join(digests), _DIGEST_BYTES)
    for first in np.unique(rows[:, 0]):
        yield int(first), rows[rows[:, 0] == first].tobytes()


def repeated_digests(element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[bytes, None]]:
    """Yields those, as keys, that occur more than once among digests of the same first byte."""
    rows, counts = np.unique(_as_rows(b"".join(element[1]), _DIGEST_BYTES), axis=0, return_counts=True)
    for row in rows[counts > 1]:
        yield row.tobytes(), None


def _as_rows(packed: bytes, length: int) -> np.ndarray:
    return np.frombuffer(packed, np.uint8).reshape(-1, length)


def find_links(contents: Iterable[Content], distance: int) -> Iterator[Link]:
    """Compares every file with every other one.

    Args:
        contents: What files hold, each once, in any order.
        distance: Largest number of differing bits of the 64-bit pHash.

    Yields:
        k - 1 links for k files that show the same picture.
    """
    contents = sorted(contents)
    digests, phashes, dhashes = zip(*contents, strict=True)
    phash, dhash = _as_array(phashes), _as_array(dhashes)
    sets = DisjointSet(digests)  # k equal pictures need k - 1 links, not one for each of their pairs
    for index, digest in enumerate(digests):
        rest = slice(index + 1, None)
        close = _differing_bits(phash[index], phash[rest]) <= distance
        close &= _differing_bits(dhash[index], dhash[rest]) <= distance * _DHASH_FACTOR
        for offset in np.flatnonzero(close):
            other = digests[index + 1 + offset]
            if sets.merge(digest, other):
                yield digest, other


def _as_array(hashes: Iterable[bytes]) -> np.ndarray:
    return _as_rows(b"".join(hashes), _HASH_BITS // 8)


def _differing_bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.unpackbits(one ^ others, axis=1).sum(axis=1)
