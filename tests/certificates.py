"""Certificates for tests: an authority, and what it signs. Owns a folder of PEM files, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """Paths of a certificate and of its key."""

    cert: Path
    key: Path


class Authority:
    """An authority of its own. `ca` is its certificate."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self._folder = folder
        self._name = name
        self.ca = folder / f"{name}-ca.pem"
        self._key = folder / f"{name}-ca.key"
        _openssl(
            "req",
            "-x509",
            *_CURVE,
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            self._key,
            "-out",
            self.ca,
        )

    def issue(self, name: str) -> Certificate:
        """A certificate with this name, good for 127.0.0.1 and localhost too, and its key."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", *_CURVE, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        signed = ("-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", *signed, "-extfile", extensions, "-out", made.cert)
        return made


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
