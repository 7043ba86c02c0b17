"""Views of an original (版式文件): pure functions from the original's bytes to bytes that people look at.

``ticket`` says what a view shows, ``render`` draws it as PDF or PNG, ``cabinet`` keeps what was drawn, ``embedded``
finds the original inside a PDF. Nothing here can change an invoice.
"""
