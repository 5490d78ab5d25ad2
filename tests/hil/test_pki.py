"""The bench's certificates are what real TLS stacks accept, or refuse for the named reason."""

import datetime as dt
import hashlib
import os
import ssl

import pytest
from cryptography import x509

from hil.pki import WRONG_HOST, Authority, Validity, opcua_application


def handshake(server_context, client_context, host="localhost"):
    """A TLS handshake in memory; raises what the failing side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting, "handshake did not end"
    server.write(b"hello")
    return client.read(5), server.getpeercert()


def contexts(authority, server, client):
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_cert_chain(server.certificate, server.key)
    client_side = ssl.create_default_context(cafile=authority.ca_file)
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    client_side.load_cert_chain(client.certificate, client.key)
    return server_side, client_side


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_mutual_tls_stands_and_the_name_arrives(tmp_path, host):
    authority = Authority(tmp_path)
    text, peer = handshake(*contexts(authority, authority.server(), authority.client("gw-7")), host)
    assert text == b"hello"
    assert peer["subject"] == ((("commonName", "gw-7"),),)


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ({"validity": Validity.EXPIRED}, "expired"),
        ({"validity": Validity.NOT_YET}, "not yet valid"),
        ({"hosts": WRONG_HOST}, "Hostname mismatch"),
    ],
)
def test_a_bad_server_certificate_is_refused_for_its_reason(tmp_path, variant, reason):
    authority = Authority(tmp_path)
    sides = contexts(authority, authority.server(**variant), authority.client("gw"))
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        handshake(*sides)


def test_a_stranger_s_client_certificate_is_refused(tmp_path):
    authority, stranger = Authority(tmp_path / "a"), Authority(tmp_path / "b", "Somebody else")
    sides = contexts(authority, authority.server(), stranger.client("gw"))
    with pytest.raises(ssl.SSLError, match="unable to get local issuer"):
        handshake(*sides)


def test_an_opcua_certificate_names_its_application_and_keys_are_private(tmp_path):
    made = opcua_application(tmp_path, "plc", "urn:plantgate:hil:plc")
    certificate = x509.load_der_x509_certificate(made.certificate_der.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:plantgate:hil:plc"]
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert certificate.public_key().key_size == 2048
    assert certificate.not_valid_after_utc > dt.datetime.now(dt.UTC)
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert made.fingerprint == hashlib.sha256(made.certificate_der.read_bytes()).hexdigest()


def test_a_key_is_private_from_its_first_byte_even_over_an_open_file(tmp_path):
    old = os.umask(0)
    try:
        (tmp_path / "gw.key").write_text("left over")
        assert Authority(tmp_path).client("gw").key.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)
