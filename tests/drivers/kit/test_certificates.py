"""Trust: one of these files, byte for byte, and in date; anything else is refused with the reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from drivers.kit.certificates import (
    DistrustError,
    application_uri,
    certificate,
    fingerprint,
    in_date,
    trusted,
)
from hil.pki import Authority, Credentials, opcua_application

NOW = dt.datetime.now(dt.UTC)
URI = "urn:plantgate:test"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return opcua_application(tmp_path_factory.mktemp("pki"), "known", URI)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return opcua_application(tmp_path_factory.mktemp("pki"), "known", URI)


def test_pem_der_and_chain_are_the_same_certificate(known: Credentials, stranger: Credentials) -> None:
    der = known.certificate_der.read_bytes()
    for content in (known.certificate.read_bytes(), der, der + stranger.certificate_der.read_bytes()):
        assert fingerprint(certificate(content, "it")) == known.fingerprint


@pytest.mark.parametrize(
    "content", [b"", b"\x30", b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE-----", bytes(900)]
)
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(DistrustError, match="it is not a certificate"):
        certificate(content, "it")


def test_the_known_one_is_trusted(known: Credentials, stranger: Credentials) -> None:
    files = {"a.pem": stranger.certificate.read_bytes(), "b.der": known.certificate_der.read_bytes()}
    assert fingerprint(trusted(known.certificate_der.read_bytes(), files, NOW)) == known.fingerprint


def test_a_stranger_of_the_same_name_is_refused_with_both_fingerprints(
    known: Credentials, stranger: Credentials
) -> None:
    with pytest.raises(DistrustError) as caught:
        trusted(stranger.certificate_der.read_bytes(), {"a.pem": known.certificate.read_bytes()}, NOW)
    assert known.fingerprint in str(caught.value)
    assert stranger.fingerprint in str(caught.value)
    with pytest.raises(DistrustError, match="trusted is none"):
        trusted(stranger.certificate_der.read_bytes(), {}, NOW)


@pytest.mark.parametrize(("days", "words"), [(-400, "is not valid yet"), (400, "has expired")])
def test_out_of_date_names_the_clock(known: Credentials, days: int, words: str) -> None:
    then = NOW + dt.timedelta(days=days)
    with pytest.raises(DistrustError, match=words) as caught:
        in_date(certificate(known.certificate.read_bytes(), "it"), "it", then)
    assert f"{then:%Y-%m-%d}" in str(caught.value)


def test_the_application_uri_stands_in_the_certificate(known: Credentials, tmp_path: Path) -> None:
    assert application_uri(certificate(known.certificate.read_bytes(), "it"), "it") == URI
    for none in (Authority(tmp_path).credentials, Authority(tmp_path / "b").server()):
        with pytest.raises(DistrustError, match="no application URI"):
            application_uri(certificate(none.certificate.read_bytes(), "it"), "it")
