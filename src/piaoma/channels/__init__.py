"""Who gives an invoice its number (开票渠道): the contract, and the sandbox authority."""
