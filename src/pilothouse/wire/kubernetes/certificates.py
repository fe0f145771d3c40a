"""The server's own certificate authority: a CA, a serving certificate, a client certificate for the administrator, and
the key that signs service account tokens.

Kept as PEM files in a folder when there is one. Imports `cryptography` only when something must be made or signed.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pilothouse.base.clock import Clock, datetime_of

_CA_DAYS, _CERTIFICATE_DAYS = 3_650, 365
_RENEW_BEFORE_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Certificates:
    """ca: PEM of the authority; serving: for TLS; admin: a client certificate of system:masters."""

    ca: bytes
    serving: Identity
    admin: Identity


def load_or_make(folder: Path, clock: Clock, addresses: tuple[str, ...]) -> Certificates:
    """The certificates of a folder, made when they are not there; a serving certificate lists these addresses."""
    marker = folder / "addresses"
    listed = "\n".join(addresses)
    fresh = marker.exists() and marker.read_text() == listed and _still_good(folder, clock)
    if not fresh:
        _make(folder, clock, addresses)
        marker.write_text(listed)
    return Certificates(
        (folder / "ca.crt").read_bytes(),
        Identity((folder / "serving.crt").read_bytes(), (folder / "serving.key").read_bytes()),
        Identity((folder / "admin.crt").read_bytes(), (folder / "admin.key").read_bytes()),
    )


def _still_good(folder: Path, clock: Clock) -> bool:
    names = ("ca.crt", "ca.key", "serving.crt", "serving.key", "admin.crt", "admin.key", "until")
    if not all((folder / name).exists() for name in names):
        return False
    try:
        return float((folder / "until").read_text()) - _RENEW_BEFORE_S > clock.time()
    except ValueError:
        return False


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_bytes(data)


def _make(folder: Path, clock: Clock, addresses: tuple[str, ...]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime_of(clock.time())

    def name(common: str, organization: str = "") -> Any:
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
        if organization:
            parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        return x509.Name(parts)

    def key_pem(key: Any) -> bytes:
        out: bytes = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return out

    def signed(
        subject: Any, issuer: Any, key: Any, signer: Any, days: int, extensions: list[tuple[Any, bool]]
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def usage(*, ca: bool) -> tuple[Any, bool]:
        return (
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=not ca,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            True,
        )

    authority = name("pilothouse-ca")
    if (folder / "ca.crt").exists() and (folder / "ca.key").exists():
        ca_key: Any = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    else:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        extensions = [(x509.BasicConstraints(ca=True, path_length=None), True), usage(ca=True)]
        _write(folder / "ca.key", key_pem(ca_key), 0o600)
        _write(folder / "ca.crt", signed(authority, authority, ca_key, ca_key, _CA_DAYS, extensions))
    for file, subject, purpose in (
        ("serving", name("pilothouse"), ExtendedKeyUsageOID.SERVER_AUTH),
        ("admin", name("pilothouse-admin", "system:masters"), ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            usage(ca=False),
            (x509.ExtendedKeyUsage([purpose]), False),
        ]
        if file == "serving":
            extensions.append((x509.SubjectAlternativeName([_general_name(x509, one) for one in addresses]), False))
        _write(folder / f"{file}.key", key_pem(key), 0o600)
        _write(folder / f"{file}.crt", signed(subject, authority, key, ca_key, _CERTIFICATE_DAYS, extensions))
    (folder / "until").write_text(str(clock.time() + _CERTIFICATE_DAYS * 86_400))


def _general_name(x509: Any, text: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class SigningKey:
    """The RSA key of service account tokens, read or made when it is first used."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._key: Any = None

    def _load(self) -> Any:
        if self._key is None:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import rsa

            if self._file.exists():
                self._key = serialization.load_pem_private_key(self._file.read_bytes(), None)
            else:
                self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
                pem = self._key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                _write(self._file, pem, 0o600)
        return self._key

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        out: bytes = self._load().sign(data, padding.PKCS1v15(), hashes.SHA256())
        return out

    def check(self, data: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            self._load().public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def kubeconfig(certificates: Certificates, server: str, name: str = "pilothouse") -> str:
    """A kubeconfig of the administrator, everything inside."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {encoded(certificates.ca)}
users:
- name: {name}-admin
  user:
    client-certificate-data: {encoded(certificates.admin.certificate)}
    client-key-data: {encoded(certificates.admin.key)}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}-admin
current-context: {name}
"""


def fingerprint(data: bytes) -> str:
    """A short name of a key for tokens."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


Maker = Callable[[], Certificates]
