"""PDF: written by ``writer``, read from anywhere by ``reader``.

In comes an original; out goes a PDF with the original in it, the same bytes each time. ``form`` says what stands where,
``canvas`` writes it, ``tags`` says what it is, ``fonts`` has the glyphs, ``objects`` puts the file together.
"""

from .writer import write

__all__ = ["write"]
