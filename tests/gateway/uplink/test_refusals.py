import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.uplink import refusals
from gateway.uplink.transport import LinkError
from hil.pki import Authority, Validity


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"))


def context_of(authority, client, **other):
    files = {"ca": authority.ca_file, "certificate": client.certificate, "private_key": client.key, **other}
    return refusals.client_tls(**files)


def test_context_checks_chain_host_and_version(authority):
    context = context_of(authority, authority.client("good"))
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1, "the system's authorities are not asked"


@pytest.mark.parametrize("which", ["ca", "certificate", "private_key"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_unusable_file_is_named(authority, tmp_path, which, content):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LinkError) as caught:
        context_of(authority, authority.client("good"), **{which: path})
    assert caught.value.code == "E-TLS-FILE"
    assert caught.value.unauthorised
    assert str(path) in caught.value.cause["zh"]


def test_key_of_another_certificate(authority):
    with pytest.raises(LinkError) as caught:
        context_of(authority, authority.client("good"), private_key=authority.client("other").key)
    assert caught.value.code == "E-TLS-FILE"


def test_encrypted_key_fails_and_does_not_ask(authority, tmp_path):
    client = authority.client("good")
    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(LinkError) as caught:
        context_of(authority, client, private_key=locked)
    assert caught.value.code == "E-TLS-FILE"


def test_our_own_certificate_has_expired(authority):
    with pytest.raises(LinkError) as caught:
        context_of(authority, authority.client("old", validity=Validity.EXPIRED))
    assert caught.value.code == "E-TLS-OURS-EXPIRED"
    assert caught.value.unauthorised


@pytest.mark.parametrize(
    ("error", "code", "unauthorised"),
    [
        (refusals.of_connack(0x87, "Not authorized"), "E-LINK-UNAUTHORISED", True),
        (refusals.of_connack(0x86, "Bad user name or password"), "E-LINK-UNAUTHORISED", True),
        (refusals.of_connack(0x88, "Server unavailable"), "E-LINK-REFUSED", False),
        (refusals.of_suback(0x87, "Not authorized"), "E-LINK-UNAUTHORISED", True),
        (refusals.of_lanes({"journal": "Not authorized"}), "E-LINK-UNAUTHORISED", True),
        (refusals.of_disconnect(0x8E, "Session taken over"), "E-LINK-TAKEN-OVER", False),
        (refusals.of_disconnect(0x8B, "Server shutting down"), "E-LINK-REFUSED", False),
        (refusals.of_connecting(ConnectionRefusedError("no"), "h", 1), "E-LINK-UNREACHABLE", False),
        (refusals.of_line("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13", "h", 1), "E-TLS-OURS", True),
        (refusals.of_line("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED]", "h", 1), "E-TLS-OURS", True),
        (refusals.of_line("", "h", 1), "E-LINK-LOST", False),
    ],
)
def test_words_and_who_must_act(error, code, unauthorised):
    assert (error.code, error.unauthorised) == (code, unauthorised)
    assert set(error.words()) == {"zh", "en"}
    assert all(error.words().values())
