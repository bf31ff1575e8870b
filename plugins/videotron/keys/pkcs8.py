"""A private key under a passphrase, as `openssl pkcs8 -topk8 -scrypt` writes it (RFC 5958, RFC 8018, RFC 7914).

`cryptography` reads this form and writes only PBKDF2 with few rounds, which a stolen stick would not withstand long.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

# OWASP's password storage cheat sheet; 16 MiB, since openssl refuses to read what takes more than 32.
COST, BLOCK, LANES = 1 << 14, 8, 5
SALT_BYTES = 16

_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES256_CBC = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42
_SEQUENCE, _OCTETS, _INTEGER = 0x30, 0x04, 0x02


def encrypted_pem(pkcs8: bytes, passphrase: str) -> str:
    """The PEM text (ENCRYPTED PRIVATE KEY) of a private key's PKCS #8 DER."""
    salt, iv = os.urandom(SALT_BYTES), os.urandom(16)
    key = hashlib.scrypt(passphrase.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, dklen=32)
    padder = PKCS7(128).padder()
    padded = padder.update(pkcs8) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    stretched = _sequence(_SCRYPT, _sequence(_tagged(_OCTETS, salt), _integer(COST), _integer(BLOCK), _integer(LANES)))
    method = _sequence(_PBES2, _sequence(stretched, _sequence(_AES256_CBC, _tagged(_OCTETS, iv))))
    text = base64.b64encode(_sequence(method, _tagged(_OCTETS, sealed))).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""])


def _sequence(*parts: bytes) -> bytes:
    return _tagged(_SEQUENCE, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tagged(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x81, size])  # none of these is longer than 255
    return bytes([tag]) + length + content
