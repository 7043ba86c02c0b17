"""Keys and signatures (信任): SM2/SM3, the sandbox certificate chain, signing and verifying the original.

In come bytes to sign and originals to judge; out go signatures and verdicts with reasons. Private keys never leave
this room but as files with mode 0600.
"""

from .certificates import ChainFault, Keyring, open_or_create, verify_chain
from .original_signature import SignatureVerdict, Verdict, sign_original, verify_original
from .signer import FileSigner, Signer
from .sm2 import PrivateKey, PublicKey, sm3

__all__ = [
    "ChainFault", "FileSigner", "Keyring", "PrivateKey", "PublicKey", "SignatureVerdict", "Signer", "Verdict",
    "open_or_create", "sign_original", "sm3", "verify_chain", "verify_original",
]  # fmt: skip
