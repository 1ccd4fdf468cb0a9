# SPDX-License-Identifier: MIT
"""An authority of our own and a server certificate for 127.0.0.1, made with the openssl command."""
import subprocess


class Certificates:
    def __init__(self, place):
        place.mkdir()
        self.ca, self.cert, self.key = place / "ca.pem", place / "server.pem", place / "server.key"
        ca_key, request, extensions = place / "ca.key", place / "server.csr", place / "server.ext"
        extensions.write_text("subjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n")
        new_key = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(*new_key, "-x509", "-subj", "/CN=tests", "-days", "2", "-keyout", ca_key, "-out", self.ca)
        _openssl(*new_key, "-subj", "/CN=127.0.0.1", "-keyout", self.key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial",
                 "-extfile", extensions, "-days", "2", "-out", self.cert)


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
