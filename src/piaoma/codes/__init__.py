"""What a symbol holds (二维码): the sealed pointer of a dynamic code, the printed invoice QR, the title QR.

In come numbers, invoices and photos; out go texts, symbols and the proof that a symbol can be scanned. Keys come in
as bytes; nothing here knows a database or a page.
"""
