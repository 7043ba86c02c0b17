"""Keys and signatures (信任): SM2/SM3, the sandbox certificate chain, signing and verifying the original.

In come bytes to sign and originals to judge; out go signatures and verdicts with reasons. Private keys never leave
this room but as files with mode 0600, enciphered under a secret that is elsewhere; an outside signer keeps them in a
process of its own.
"""

from .certificates import ChainFault, verify_chain
from .key_secret import KeySecret
from .keystore import Keyring, open_or_create, trusted_root
from .original_signature import SignatureVerdict, Verdict, sign_original, sign_originals, verify_original
from .seal import SealSigner, SealVerdict, SignersSeal, make_seal, open_seal, sealed_at, sign_value, verify_value
from .signer import FileSigner, Signer, SignerDown, SignerFault
from .sm2 import PrivateKey, PublicKey, sm3

__all__ = [
    "ChainFault", "FileSigner", "KeySecret", "Keyring", "PrivateKey", "PublicKey", "SealSigner", "SealVerdict",
    "SignatureVerdict", "Signer", "SignerDown", "SignerFault", "SignersSeal", "Verdict", "make_seal", "open_or_create",
    "open_seal", "sealed_at", "sign_original", "sign_originals", "sign_value", "sm3", "trusted_root", "verify_chain",
    "verify_original", "verify_value",
]  # fmt: skip
