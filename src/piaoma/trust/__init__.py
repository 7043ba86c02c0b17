"""Keys and signatures (信任): SM2/SM3, the sandbox certificate chain, signing and verifying the original.

In come bytes to sign and originals to judge; out go signatures and verdicts with reasons. Private keys never leave
this room but as files with mode 0600.
"""

from .certificates import ChainFault, Keyring, open_or_create, verify_chain
from .original_signature import SignatureVerdict, Verdict, sign_original, verify_original
from .seal import FileSealSigner, SealSigner, SealVerdict, make_seal, open_seal, sealed_at, sign_value, verify_value
from .signer import FileSigner, Signer
from .sm2 import PrivateKey, PublicKey, sm3

__all__ = [
    "ChainFault", "FileSealSigner", "FileSigner", "Keyring", "PrivateKey", "PublicKey", "SealSigner", "SealVerdict",
    "SignatureVerdict", "Signer", "Verdict", "make_seal", "open_or_create", "open_seal", "sealed_at", "sign_original",
    "sign_value", "sm3", "verify_chain", "verify_original", "verify_value",
]  # fmt: skip
