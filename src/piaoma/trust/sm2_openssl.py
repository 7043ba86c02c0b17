"""SM2, SM3 and SM4 by the system's libcrypto (OpenSSL 3), through its own C functions.

``ctypes`` lets the interpreter go during each call. Every object of the library is freed where it was made, except the
keys, which go with their Python object.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from typing import Any

from .sm2 import BLOCK_BYTES, USER_ID, EngineMissing

_VERSION_MIN = 0x30000000  # 3.0: the first whose decoders know an SM2 key by its curve
_SIGNATURE_BYTES_MAX = 128  # DER of two numbers of 32 bytes takes 72 at most
_SM3_BYTES = 32

_BYTES, _LENGTH = c_char_p, POINTER(c_size_t)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "OpenSSL_version_num": (c_ulong, []),
    "ERR_clear_error": (None, []),
    "d2i_AutoPrivateKey": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "d2i_PUBKEY": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "i2d_PUBKEY": (c_int, [c_void_p, c_void_p]),
    "EVP_PKEY2PKCS8": (c_void_p, [c_void_p]),
    "i2d_PKCS8_PRIV_KEY_INFO": (c_int, [c_void_p, c_void_p]),
    "PKCS8_PRIV_KEY_INFO_free": (None, [c_void_p]),
    "EVP_PKEY_is_a": (c_int, [c_void_p, c_char_p]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY_Q_keygen": (c_void_p, [c_void_p, c_char_p, c_char_p]),
    "EVP_PKEY_CTX_new": (c_void_p, [c_void_p, c_void_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_set1_id": (c_int, [c_void_p, _BYTES, c_size_t]),
    "EVP_MD_CTX_new": (c_void_p, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [c_void_p, c_void_p]),
    "EVP_sm3": (c_void_p, []),
    "EVP_sm4_cbc": (c_void_p, []),
    "EVP_sm4_ecb": (c_void_p, []),
    "EVP_DigestSignInit": (c_int, [c_void_p] * 5),
    "EVP_DigestSign": (c_int, [c_void_p, c_void_p, _LENGTH, _BYTES, c_size_t]),
    "EVP_DigestVerifyInit": (c_int, [c_void_p] * 5),
    "EVP_DigestVerify": (c_int, [c_void_p, _BYTES, c_size_t, _BYTES, c_size_t]),
    "EVP_Digest": (c_int, [_BYTES, c_size_t, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_CIPHER_CTX_new": (c_void_p, []),
    "EVP_CIPHER_CTX_free": (None, [c_void_p]),
    "EVP_CIPHER_CTX_set_padding": (c_int, [c_void_p, c_int]),
    "EVP_CipherInit_ex": (c_int, [c_void_p, c_void_p, c_void_p, _BYTES, _BYTES, c_int]),
    "EVP_CipherUpdate": (c_int, [c_void_p, c_void_p, POINTER(c_int), _BYTES, c_int]),
}


def _load() -> Any:
    """libcrypto with the types of what is called. Raises ``EngineMissing``."""
    name = "libcrypto.so.3"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        name = ctypes.util.find_library("crypto") or ""
        if not name:
            raise EngineMissing("openssl: there is no libcrypto on this system") from None
        library = ctypes.CDLL(name)
    try:
        for function, (result, arguments) in _FUNCTIONS.items():
            entry = getattr(library, function)
            entry.restype, entry.argtypes = result, arguments
    except AttributeError as error:
        raise EngineMissing(f"openssl: {name} is no OpenSSL 3 with SM2 ({error})") from None
    if library.OpenSSL_version_num() < _VERSION_MIN:
        raise EngineMissing(f"openssl: {name} is older than OpenSSL 3")
    return library


class LibCrypto:
    """See ``sm2.Engine``."""

    name = "openssl"

    def __init__(self) -> None:
        """Raises ``EngineMissing``."""
        self._lib = _load()
        self._sm3 = self._lib.EVP_sm3()

    def sm3(self, data: bytes) -> bytes:
        digest = ctypes.create_string_buffer(_SM3_BYTES)
        self._done(self._lib.EVP_Digest(data, len(data), digest, None, self._sm3, None))
        return digest.raw

    def sm4_cbc(self, key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
        return self._sm4(self._lib.EVP_sm4_cbc(), key, iv, data, encrypt=encrypt)

    def sm4_ecb(self, key: bytes, data: bytes, *, encrypt: bool) -> bytes:
        return self._sm4(self._lib.EVP_sm4_ecb(), key, None, data, encrypt=encrypt)

    def _sm4(self, mode: int, key: bytes, iv: bytes | None, data: bytes, *, encrypt: bool) -> bytes:
        lib, out, length = self._lib, ctypes.create_string_buffer(len(data) + BLOCK_BYTES), c_int(0)
        context = lib.EVP_CIPHER_CTX_new()
        try:
            self._done(lib.EVP_CipherInit_ex(context, mode, None, key, iv, int(encrypt)))
            self._done(lib.EVP_CIPHER_CTX_set_padding(context, 0))
            self._done(lib.EVP_CipherUpdate(context, out, byref(length), data, len(data)))
        finally:
            lib.EVP_CIPHER_CTX_free(context)
        return out.raw[: length.value]

    def generate(self) -> bytes:
        key = self._lib.EVP_PKEY_Q_keygen(None, None, b"SM2")
        if not key:
            raise self._fault("no key was made")
        info = self._lib.EVP_PKEY2PKCS8(key)
        try:
            return _written(self._lib.i2d_PKCS8_PRIV_KEY_INFO, info)
        finally:
            self._lib.PKCS8_PRIV_KEY_INFO_free(info)
            self._lib.EVP_PKEY_free(key)

    def private(self, der: bytes) -> LibCryptoKey:
        return self._key(self._lib.d2i_AutoPrivateKey, der, "not an SM2 private key")

    def public(self, der: bytes) -> LibCryptoKey:
        return self._key(self._lib.d2i_PUBKEY, der, "not an SM2 public key")

    def _key(self, read: Any, der: bytes, fault: str) -> LibCryptoKey:
        pointer = read(None, byref(c_char_p(der)), len(der))
        if not pointer:
            raise self._fault(fault)
        key = LibCryptoKey(self._lib, self._sm3, pointer)
        if self._lib.EVP_PKEY_is_a(pointer, b"SM2") != 1:
            raise self._fault(fault)
        return key

    def _done(self, result: int) -> None:
        if result != 1:
            raise self._fault("the library failed")

    def _fault(self, text: str) -> ValueError:
        self._lib.ERR_clear_error()  # what it left behind must not be taken for the fault of a later call
        return ValueError(text)


class LibCryptoKey:
    """See ``sm2.Signs`` and ``sm2.Verifies``; a public key cannot sign."""

    def __init__(self, lib: Any, sm3: int, pointer: int) -> None:
        self._lib, self._sm3, self._pointer = lib, sm3, pointer
        weakref.finalize(self, lib.EVP_PKEY_free, pointer)

    def public_der(self) -> bytes:
        return _written(self._lib.i2d_PUBKEY, self._pointer)

    def sign(self, data: bytes) -> bytes:
        signature, length = ctypes.create_string_buffer(_SIGNATURE_BYTES_MAX), c_size_t(_SIGNATURE_BYTES_MAX)
        if self._run(self._lib.EVP_DigestSignInit, self._lib.EVP_DigestSign, signature, byref(length), data) != 1:
            raise ValueError("the library did not sign")
        return signature.raw[: length.value]

    def verifies(self, signature: bytes, data: bytes) -> bool:
        verify = self._lib.EVP_DigestVerify
        return self._run(self._lib.EVP_DigestVerifyInit, verify, signature, len(signature), data) == 1

    def _run(self, begin: Any, finish: Any, signature: Any, length: Any, data: bytes) -> int:
        """Sign or verify, with the user id in Z; what the library answers."""
        lib = self._lib
        digest, context = lib.EVP_MD_CTX_new(), lib.EVP_PKEY_CTX_new(self._pointer, None)
        try:
            if lib.EVP_PKEY_CTX_set1_id(context, USER_ID, len(USER_ID)) != 1:
                return 0
            lib.EVP_MD_CTX_set_pkey_ctx(digest, context)
            if begin(digest, None, self._sm3, None, self._pointer) != 1:
                return 0
            return int(finish(digest, signature, length, data, len(data)))
        finally:
            lib.EVP_MD_CTX_free(digest)
            lib.EVP_PKEY_CTX_free(context)
            lib.ERR_clear_error()


def _written(write: Any, thing: int) -> bytes:
    """What an ``i2d_…`` function writes."""
    out = ctypes.create_string_buffer(write(thing, None))
    write(thing, byref(ctypes.cast(out, c_void_p)))
    return out.raw
