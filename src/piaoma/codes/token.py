"""The token of a dynamic code (动态码): opaque, unguessable, self-checking, and never stored.

A token is the enciphered form of 100 bits: 32 zero bits, the merchant's number (28 bits), the code's number (40
bits). The cipher is a keyed ten-round Feistel network over two halves of 50 bits, its round function BLAKE2b. This
is encode-then-encipher (Bellare and Rogaway, 2000): whoever does not have the key cannot tell tokens from random
strings, and a guessed one has its 32 zero bits with probability 2⁻³², so it is refused before the database is asked.
A guess that also names an existing code succeeds with (number of codes) × 2⁻¹⁰⁰.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from piaoma.invoice.refusal import refuse

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
LENGTH = 20
MERCHANT_BITS, CODE_BITS, CHECK_BITS = 28, 40, 32

_CANONICAL = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")
_HALF = 50
_HALF_MASK = (1 << _HALF) - 1
_ROUNDS = 10
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)} | {"I": 1, "L": 1, "O": 0}


def seal(key: bytes, merchant_id: int, code_id: int) -> str:
    """The token, 20 characters, of a merchant's code."""
    assert 0 <= merchant_id < 1 << MERCHANT_BITS and 0 <= code_id < 1 << CODE_BITS, "numbers out of range"
    plain = merchant_id << CODE_BITS | code_id
    left, right = plain >> _HALF, plain & _HALF_MASK
    for turn in range(_ROUNDS):
        left, right = right, left ^ _round(key, turn, right)
    value = left << _HALF | right
    return "".join(ALPHABET[value >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def unseal(keys: Sequence[bytes], token: str) -> tuple[int, int]:
    """(merchant_id, code_id) of a token under the first of the keys that fits: the present one, then older ones.

    Accepts any case, dashes and spaces, and the look-alikes I, L, O. Raises ``Refused`` CODE-MALFORMED when it cannot
    be a token, CODE-FORGED when no key made it.
    """
    return _unsealed(tuple(keys), canonical(token))


@lru_cache(maxsize=4096)
def _unsealed(keys: tuple[bytes, ...], token: str) -> tuple[int, int]:
    """A customer's token is opened a few times for each page, so its numbers are kept; a forged one is not."""
    value = _number(token)
    for key in keys:
        left, right = value >> _HALF, value & _HALF_MASK
        for turn in range(_ROUNDS - 1, -1, -1):
            left, right = right ^ _round(key, turn, left), left
        plain = left << _HALF | right
        if plain >> (MERCHANT_BITS + CODE_BITS) == 0:
            return plain >> CODE_BITS, plain & ((1 << CODE_BITS) - 1)
    raise refuse("CODE-FORGED")


def canonical(token: str) -> str:
    """The token as it is written: upper case, no separators, no look-alikes. Raises like ``unseal``."""
    if _CANONICAL.fullmatch(token):
        return token
    value = _number(token)
    return "".join(ALPHABET[value >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def _number(token: str) -> int:
    letters = token.upper().replace("-", "").replace(" ", "")
    if len(letters) != LENGTH:
        raise refuse("CODE-MALFORMED")
    value = 0
    for letter in letters:
        digit = _VALUE.get(letter)
        if digit is None:
            raise refuse("CODE-MALFORMED")
        value = value << 5 | digit
    return value


def _round(key: bytes, turn: int, half: int) -> int:
    state = _keyed(key)[turn].copy()
    state.update(half.to_bytes(7))
    return int.from_bytes(state.digest()) & _HALF_MASK


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> tuple[blake2b, ...]:
    """The hash of each round with the key taken in already."""
    return tuple(blake2b(digest_size=7, key=key, person=bytes((turn,))) for turn in range(_ROUNDS))
