"""Makes the bench's certificates, good and bad ones. Writes files into one folder; opens no socket.

MQTT peers get ECDSA P-256 certificates from one authority; OPC UA applications get self-signed RSA-2048 ones
whose URI names the application, because Basic256Sha256 knows RSA only (OPC 10000-7).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
WRONG_HOST: Final = ("elsewhere.invalid",)
"""Pass as ``hosts`` for a server certificate that belongs to another machine."""


class Validity(Enum):
    """From and until when a certificate holds, in days from now."""

    CURRENT = (-1, 90)
    ENDING = (-1, 20)
    EXPIRED = (-30, -1)
    NOT_YET = (1, 30)


@dataclass(frozen=True, slots=True)
class Credentials:
    """One certificate and its key.

    Attributes:
        certificate: PEM file.
        key: PEM file, PKCS #8, mode 0600.
        certificate_der: the same certificate as DER file.
        fingerprint: SHA-256 of the DER form, lower-case hex.
    """

    certificate: Path
    key: Path
    certificate_der: Path
    fingerprint: str


class Authority:
    """A test CA in a folder of its own.

    Args:
        folder: where everything is written; made if missing.
        name: common name of the CA; two authorities need two names and two folders.
    """

    def __init__(self, folder: Path, name: str = "Plantgate bench CA") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        public = self._key.public_key()
        builder = (
            _blank(self._name, self._name, public, Validity.CURRENT)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True, ciphers=False), critical=True)
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.credentials = _write(folder, "ca", self._certificate, self._key)

    @property
    def ca_file(self) -> Path:
        """The CA certificate, PEM: what every peer trusts."""
        return self.credentials.certificate

    def server(
        self,
        name: str = "server",
        *,
        hosts: Sequence[str] = LOOPBACK,
        validity: Validity = Validity.CURRENT,
    ) -> Credentials:
        """A server certificate for these host names and addresses; files are called ``name``.*."""
        return self._issue(name, hosts, validity, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str, *, validity: Validity = Validity.CURRENT) -> Credentials:
        """A client certificate whose common name is ``name`` (the broker's user name)."""
        return self._issue(name, (), validity, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self, name: str, hosts: Sequence[str], validity: Validity, purpose: x509.ObjectIdentifier
    ) -> Credentials:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _blank(_common_name(name), self._name, key.public_key(), validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False, ciphers=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return _write(self.folder, name, builder.sign(self._key, hashes.SHA256()), key)


def opcua_application(
    folder: Path,
    name: str,
    application_uri: str,
    *,
    hosts: Sequence[str] = LOOPBACK,
    validity: Validity = Validity.CURRENT,
) -> Credentials:
    """A self-signed OPC UA application instance certificate, for client and server use alike.

    Fields as OPC 10000-6 section 6.2.2 asks: the ApplicationURI and the hosts as alternative names, the four
    key usages, both extended key usages. Making the RSA key takes about 0.1 s.
    """
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    subject = _common_name(name)
    alternatives = [x509.UniformResourceIdentifier(application_uri), *(_host(host) for host in hosts)]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _blank(subject, subject, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True, ciphers=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )
    return _write(folder, name, builder.sign(key, hashes.SHA256()), key)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _blank(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    validity: Validity,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    first_day, last_day = validity.value
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=first_day))
        .not_valid_after(now + dt.timedelta(days=last_day))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, signs_certificates: bool, ciphers: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=ciphers,
        key_encipherment=ciphers,
        data_encipherment=ciphers,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates and not ciphers,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: Key) -> Credentials:
    folder.mkdir(parents=True, exist_ok=True)
    made = Credentials(
        certificate=folder / f"{name}.pem",
        key=folder / f"{name}.key",
        certificate_der=folder / f"{name}.der",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.key.unlink(missing_ok=True)
    descriptor = os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.certificate_der.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    return made
