# SPDX-License-Identifier: MIT
"""JSON web tokens: made, taken apart, their signatures checked; and the keys and certificates behind them."""
import base64
import datetime
import json
import secrets
import uuid

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

PADDINGS = {"RS256": padding.PKCS1v15(),
            "PS256": padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256().digest_size)}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text):
    """Strictly: no padding, no other alphabet, no loose bits."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(data) != text:
        raise ValueError("not base64url")
    return data


def _part(value):
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def encode(claims, key=None, algorithm="RS256", **header):
    """Signed by a key; without one, by nobody: a signature like any other to who does not check it."""
    signed = _part({"typ": "JWT", "alg": algorithm, **header}) + "." + _part(claims)
    signature = (key.private.sign(signed.encode(), PADDINGS[algorithm], hashes.SHA256()) if key
                 else secrets.token_bytes(256))
    return signed + "." + base64url(signature)


def decode(text):
    """(header, claims) of a JWT, unchecked. ValueError when it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("not three parts")
    header, claims = (json.loads(_decode(part)) for part in parts[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("no object")
    return header, claims


def is_signed_by(text, public_key):
    """By the algorithm that its header names, RS256 or PS256."""
    header, _ = decode(text)
    signed, _, signature = text.rpartition(".")
    try:
        public_key.verify(_decode(signature), signed.encode(), PADDINGS[header["alg"]], hashes.SHA256())
    except InvalidSignature:
        return False
    return True


class Key:
    """An RSA key and a certificate that it signed itself."""

    def __init__(self, name="cvnotifyd", bits=2048, days=(-1, 30)):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.public = self.private.public_key()
        self.id = uuid.uuid4().hex
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start, end = (datetime.datetime.utcnow() + datetime.timedelta(days=count) for count in days)
        self.certificate = x509.CertificateBuilder(subject, subject, self.public, x509.random_serial_number(),
                                                   start, end).sign(self.private, hashes.SHA256())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def thumbprint(self, digest):
        return base64url(self.certificate.fingerprint(digest))

    def key_pem(self):
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()).decode()

    def pem(self):
        """The certificate and its key, as one text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode() + self.key_pem()
