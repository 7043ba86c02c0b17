"""SM2, SM3 and SM4 by Tongsuo, as the package ``tongsuopy`` brings it along."""

from __future__ import annotations

from tongsuopy.crypto import hashes, serialization
from tongsuopy.crypto.asymciphers import ec
from tongsuopy.crypto.ciphers import Cipher, algorithms, modes
from tongsuopy.crypto.exceptions import InvalidSignature

_SM2_WITH_SM3 = ec.ECDSA(hashes.SM3())
_DER = serialization.Encoding.DER


class Tongsuo:
    """See ``sm2.Engine``."""

    name = "tongsuo"

    def sm3(self, data: bytes) -> bytes:
        digest = hashes.Hash(hashes.SM3())
        digest.update(data)
        return bytes(digest.finalize())

    def sm4_cbc(self, key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
        return _ciphered(Cipher(algorithms.SM4(key), modes.CBC(iv)), data, encrypt=encrypt)

    def sm4_ecb(self, key: bytes, data: bytes, *, encrypt: bool) -> bytes:
        return _ciphered(Cipher(algorithms.SM4(key), modes.ECB()), data, encrypt=encrypt)

    def generate(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        der: bytes = ec.generate_private_key(ec.SM2()).private_bytes(_DER, form, serialization.NoEncryption())
        return der

    def private(self, der: bytes) -> TongsuoPrivateKey:
        try:
            key = serialization.load_der_private_key(der, None)
        except Exception as error:  # the library raises several kinds, all of which mean this
            raise ValueError("not an SM2 private key") from error
        if getattr(getattr(key, "curve", None), "name", "") != "SM2":
            raise ValueError("not an SM2 private key")
        return TongsuoPrivateKey(key)

    def public(self, der: bytes) -> TongsuoPublicKey:
        try:
            key = serialization.load_der_public_key(der)
        except Exception as error:  # as above
            raise ValueError("not an SM2 public key") from error
        if getattr(getattr(key, "curve", None), "name", "") != "SM2":
            raise ValueError("not an SM2 public key")
        return TongsuoPublicKey(key)


def _ciphered(cipher: Cipher, data: bytes, *, encrypt: bool) -> bytes:
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return bytes(context.update(data) + context.finalize())


class TongsuoPrivateKey:
    """See ``sm2.Signs``."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def public_der(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der: bytes = self._key.public_key().public_bytes(_DER, form)
        return der

    def sign(self, data: bytes) -> bytes:
        signature: bytes = self._key.sign(data, _SM2_WITH_SM3)
        return signature


class TongsuoPublicKey:
    """See ``sm2.Verifies``."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            self._key.verify(signature, data, _SM2_WITH_SM3)
        except InvalidSignature:
            return False
        except Exception:  # a malformed signature makes the library complain in several ways
            return False
        return True
