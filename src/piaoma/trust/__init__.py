"""Keys and signatures (信任): SM2/SM3, the sandbox certificate chain, signing and verifying the original."""
