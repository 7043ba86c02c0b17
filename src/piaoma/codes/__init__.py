"""What a symbol holds (二维码): the short sealed pointer, the printed invoice QR, the title QR; drawing a symbol and proving it scannable."""
