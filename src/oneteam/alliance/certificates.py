"""An alliance's own certificate authority, for hubs that no public one vouches for.

TLS protects the way to the hub; that messages are the members' own rests on the roster's keys alone (`oneteam.alliance.wire`). So the
authority may be run by whoever runs the hub.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oneteam.core.errors import FileUnreadableError, UnknownValueError

AUTHORITY_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=397)
"""Longest that TLS clients of the large makers accept for a server."""
_BACKDATED: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Authority:
    """A root certificate and its key.

    Args:
        certificate: what members trust.
        key: ECDSA P-256; never printed.
    """

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Authority({self.certificate.subject.rfc4514_string()!r})"

    @classmethod
    def create(cls, name: str, now: datetime) -> Authority:
        """A new root that may issue server certificates, but no further authorities.

        Args:
            name: for people.
            now: aware; the certificate holds from ten minutes earlier, for ten years.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """What `save` wrote.

        Raises:
            FileUnreadableError: a file is missing or damaged.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        except (OSError, ValueError) as err:
            raise FileUnreadableError(f"{folder} holds no certificate authority (ca.pem, ca.key)", hint="Make one anew.") from err
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise FileUnreadableError(f"{folder}: ca.key does not belong to ca.pem")
        return cls(certificate, key)

    def save(self, folder: Path) -> Path:
        """Write ``ca.pem`` (to hand to every member) and ``ca.key`` (for the owner's eyes only); gives the path of the former."""
        folder.mkdir(parents=True, exist_ok=True)
        write_secret(folder / "ca.key", _key_pem(self._key))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return folder / "ca.pem"

    def issue(self, names: Sequence[str], folder: Path, now: datetime) -> tuple[Path, Path]:
        """A server's key and certificate, as ``server.key`` and ``server.pem``.

        Args:
            names: host names and IP addresses under which the server is reached.
            folder: where the files go.
            now: aware.

        Returns:
            Paths of the certificate and of the key.

        Raises:
            UnknownValueError: no name, or one that is neither a host name nor an address.
        """
        if not names:
            raise UnknownValueError("a server's certificate without a name", hint="Give the host name or address in the hub's URL.")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key(), now, SERVER_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_secret(folder / "server.key", _key_pem(key))
        (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return folder / "server.pem", folder / "server.key"


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from the first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode())
    except UnicodeError as err:
        raise UnknownValueError(f"'{name}' is neither a host name nor an IP address") from err


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
