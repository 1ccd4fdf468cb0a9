# SPDX-License-Identifier: MIT
"""An authority of our own and server certificates of it, made with the openssl command."""
import subprocess

NEW_KEY = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificates:
    """The authority and one certificate: `cert` and `key`, good for 127.0.0.1 unless told otherwise."""

    def __init__(self, place, names="IP:127.0.0.1"):
        place.mkdir()
        self.place, self.ca, self._ca_key = place, place / "ca.pem", place / "ca.key"
        _openssl(*NEW_KEY, "-x509", "-subj", f"/CN=tests {place.name}", "-days", "2", "-keyout", self._ca_key,
                 "-out", self.ca)
        self.cert, self.key = self.pair = self.issue("server", names)

    def issue(self, stem, names, days=2, use="serverAuth"):
        """(certificate, key) for names as openssl writes them: DNS:host, IP:address. One of days=-1 has expired."""
        cert, key, request, extensions = (self.place / f"{stem}.{end}" for end in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"subjectAltName = {names}\nextendedKeyUsage = {use}\n")
        _openssl(*NEW_KEY, "-subj", "/CN=server", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key, "-CAcreateserial",
                 "-extfile", extensions, "-days", days, "-out", cert)
        return cert, key


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
