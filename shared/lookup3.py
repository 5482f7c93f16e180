"""The hash function under all of Postgres' own, Bob Jenkins' lookup3, over arrays: one value a place, all at once.

Invariant: to the last bit what `hash_bytes_extended` gives where numbers begin with their lowest byte; property tests
compare it with Postgres through what is built on it. Postgres keeps it as it is, because hash partitions depend on it.
Source: https://burtleburtle.net/bob/c/lookup3.c. Pure.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint32]
Hashes: TypeAlias = npt.NDArray[np.uint64]

BLOCK_BYTES = 12
"""So many bytes lookup3 mixes in before it ends."""
FACTOR = np.uint64(31)
"""A row's hash is 31 times that of its columns so far plus the next column's, modulo 2**64: `hash_record_extended`."""
BITS = [np.array([bits], "uint32") for bits in range(33)]
"""Made once: numpy takes as long to make an array of a number as to shift a thousand words by it."""
_INITIAL = 0x9E3779B9 + 3_923_095
_MIX = (4, 6, 8, 16, 19, 4)
_END = (14, 11, 25, 16, 4, 14, 24)
"""By how many bits lookup3 rotates, step by step."""


def initial(size: int, seed: int) -> tuple[Words, Words, Words]:
    """The state before so many bytes come, each word an array of one; the seed 0 is none."""
    a = b = c = np.array([(_INITIAL + size) % 2**32], "uint32")
    return mixed(a + np.uint32(seed >> 32), b + np.uint32(seed), c) if seed else (a, b, c)


def initial_of(sizes: npt.NDArray[np.int64]) -> Words:
    """Each word of the state before so many bytes come, without a seed."""
    return (sizes + _INITIAL).astype("uint32")


def mixed(a: Words, b: Words, c: Words) -> tuple[Words, Words, Words]:
    """lookup3's mixing; after each step the three change places, and have their own again at the end."""
    for bits in _MIX:
        a, b, c = b, c + b, (a - c) ^ _rotated(c, bits)
    return a, b, c


def final(a: Words, b: Words, c: Words) -> Hashes:
    """lookup3's end, and 64 bits of what it leaves; the three change places as above, once more than comes round."""
    for bits in _END:
        a, b, c = b, (c ^ b) - _rotated(b, bits), a
    return (a.astype("uint64") << np.uint64(32)) | b


def _rotated(words: Words, bits: int) -> Words:
    rotated: Words = (words << BITS[bits]) | (words >> BITS[32 - bits])
    return rotated
