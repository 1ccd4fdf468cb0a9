# SPDX-License-Identifier: MIT
"""An authority of our own and server certificates of it, made with the openssl command."""
import datetime
import subprocess

NEW_KEY = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
CA = """
[ca]
default_ca = tests
[tests]
new_certs_dir = {place}
database = {place}/database
unique_subject = no
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Certificates:
    """The authority and one certificate: `cert` and `key`, good for 127.0.0.1 unless told otherwise."""

    def __init__(self, place, names="IP:127.0.0.1"):
        place.mkdir()
        self.place, self.ca, self._ca_key = place, place / "ca.pem", place / "ca.key"
        (place / "database").touch()
        (place / "ca.conf").write_text(CA.format(place=place))
        _openssl(*NEW_KEY, "-x509", "-subj", f"/CN=tests {place.name}", "-days", "2", "-keyout", self._ca_key,
                 "-out", self.ca)
        self.cert, self.key = self.pair = self.issue("server", names)

    def issue(self, stem, names, days=(-1, 1), use="serverAuth"):
        """(certificate, key) for names as openssl writes them: DNS:host, IP:address; good from the first to the
        second of these days, counted from now."""
        cert, key, request, extensions = (self.place / f"{stem}.{end}" for end in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"subjectAltName = {names}\nextendedKeyUsage = {use}\n")
        start, end = (datetime.datetime.utcnow() + datetime.timedelta(days=count) for count in days)
        _openssl(*NEW_KEY, "-subj", "/CN=server", "-keyout", key, "-out", request)
        _openssl("ca", "-batch", "-notext", "-config", self.place / "ca.conf", "-cert", self.ca,
                 "-keyfile", self._ca_key, "-in", request, "-extfile", extensions, "-out", cert,
                 "-startdate", f"{start:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
        return cert, key


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
