# SPDX-License-Identifier: MIT OR Apache-2.0
"""FF1 of NIST SP 800-38G, written from its algorithms 1 to 8 with big integers.

One numeral is one member of a list of integers below the radix. AES with keys
of 128, 192 and 256 bits. It is not constant time.
"""
from __future__ import annotations

from typing import Callable, List, Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import Limit, Malformed

ROUNDS = 10


def _integer(radix: int, numerals: Sequence[int]) -> int:
    """NUM_radix, algorithm 1."""
    value = 0
    for numeral in numerals:
        value = value * radix + numeral
    return value


def _numerals(radix: int, length: int, value: int) -> List[int]:
    """STR, algorithm 3."""
    out = []
    for _ in range(length):
        value, numeral = divmod(value, radix)
        out.append(numeral)
    return out[::-1]


class Ff1:
    """FF1 under one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # nosec: single blocks

    def _ciph(self, block: bytes) -> bytes:
        encryptor = self._cipher.encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def _prf(self, data: bytes) -> bytes:
        """Algorithm 6: CBC-MAC with a zero IV."""
        state = bytes(16)
        for at in range(0, len(data), 16):
            state = self._ciph(bytes(a ^ b for a, b in zip(state, data[at:at + 16])))
        return state

    def _round_function(self, radix: int, length: int, tweak: bytes) -> Callable[[int, int], int]:
        """Steps 3 to 5 and 6.i to 6.iv: from the round and NUM(B) to y."""
        u = length // 2
        v = length - u
        # b = ceil(ceil(v * log2(radix)) / 8), without floating point.
        b = ((radix ** v - 1).bit_length() + 7) // 8
        d = 4 * ((b + 3) // 4) + 4
        p = (bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, u % 256])
             + length.to_bytes(4, "big") + len(tweak).to_bytes(4, "big"))

        def y(number: int, half: int) -> int:
            q = (tweak + bytes((-len(tweak) - b - 1) % 16) + bytes([number])
                 + half.to_bytes(b, "big"))
            r = self._prf(p + q)
            s = r
            for j in range(1, (d + 15) // 16):
                s += self._ciph(bytes(a ^ c for a, c in zip(r, j.to_bytes(16, "big"))))
            return int.from_bytes(s[:d], "big")
        return y

    @staticmethod
    def _check(radix: int, numerals: Sequence[int]) -> None:
        if len(numerals) < 2 or radix ** len(numerals) < 1_000_000:
            raise Limit("FF1: a domain of fewer than 10^6")
        if not 2 <= radix <= 1 << 16 or any(not 0 <= n < radix for n in numerals):
            raise Malformed("FF1: a numeral outside the radix")

    def encrypt(self, radix: int, tweak: bytes, numerals: Sequence[int]) -> List[int]:
        """Algorithm 7."""
        self._check(radix, numerals)
        n = len(numerals)
        u = n // 2
        y = self._round_function(radix, n, tweak)
        a, b = list(numerals[:u]), list(numerals[u:])
        for i in range(ROUNDS):
            m = u if i % 2 == 0 else n - u
            c = (_integer(radix, a) + y(i, _integer(radix, b))) % radix ** m
            a, b = b, _numerals(radix, m, c)
        return a + b

    def decrypt(self, radix: int, tweak: bytes, numerals: Sequence[int]) -> List[int]:
        """Algorithm 8."""
        self._check(radix, numerals)
        n = len(numerals)
        u = n // 2
        y = self._round_function(radix, n, tweak)
        a, b = list(numerals[:u]), list(numerals[u:])
        for i in reversed(range(ROUNDS)):
            m = u if i % 2 == 0 else n - u
            c = (_integer(radix, b) - y(i, _integer(radix, a))) % radix ** m
            a, b = _numerals(radix, m, c), a
        return a + b
