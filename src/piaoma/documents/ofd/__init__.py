"""OFD (GB/T 33190-2016): writing the view of an original, sealing it, reading and judging one from anywhere.

In come originals and signed values, or hostile packages; out go bytes that are the same each time, or what a package
holds and whether its seal is good. Whoever seals keeps the signed value: it is random and made once.
"""

from .opening import OFD_MARK
from .reader import Document, read_ofd
from .sealed import SealCheck, check_seal
from .signs import SIGNATURE
from .writer import CREATOR, EMBEDDED, NAMED, VERSIONS, to_be_sealed, write

__all__ = [
    "CREATOR", "EMBEDDED", "NAMED", "OFD_MARK", "SIGNATURE", "VERSIONS", "Document", "SealCheck", "check_seal",
    "read_ofd", "to_be_sealed", "write",
]  # fmt: skip
