"""Certificates on disk: the own one made once and kept, strangers kept apart within a bound, trust by fingerprint."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.kit.certificates import DistrustError, Facts, certificate, new_key, self_signed
from drivers.wire import certificate_files
from drivers.wire.certificate_files import MAX_REJECTED, own_certificate, reject, stored, trust
from hil.pki import Validity, opcua_application


def test_the_own_certificate_is_made_once_and_kept(tmp_path: Path) -> None:
    files = tmp_path / "deep" / "own.der", tmp_path / "deep" / "own.key"
    first = own_certificate(*files, "urn:plantgate:gw1")
    contents = [file.read_bytes() for file in files]
    assert own_certificate(*files, "urn:something:else") == first
    assert [file.read_bytes() for file in files] == contents
    assert files[1].stat().st_mode & 0o777 == 0o600
    assert [file.name for file in sorted(files[0].parent.iterdir())] == ["own.der", "own.key"]
    one = certificate(contents[0], "it")
    assert first.facts is not None
    assert first.facts.application_uri == "urn:plantgate:gw1"
    assert first.facts.days_left(dt.datetime.now(dt.UTC)) > 19 * 365
    usage = one.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    assert usage.data_encipherment
    assert usage.content_commitment
    purposes = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in purposes


def test_a_lost_certificate_is_made_for_the_kept_key_but_a_lost_key_is_not_replaced(tmp_path: Path) -> None:
    files = tmp_path / "own.der", tmp_path / "own.key"
    own_certificate(*files)
    key = files[1].read_bytes()
    before = certificate(files[0].read_bytes(), "it").public_key()
    files[0].unlink()
    own_certificate(*files)
    assert files[1].read_bytes() == key
    assert certificate(files[0].read_bytes(), "it").public_key() == before
    files[1].unlink()
    with pytest.raises(DistrustError, match="bring the key back"):
        own_certificate(*files)
    assert not files[1].exists()


def test_a_key_of_another_certificate_of_another_kind_or_open_to_others_is_refused(tmp_path: Path) -> None:
    one, other = (opcua_application(tmp_path, name, f"urn:{name}") for name in ("one", "other"))
    with pytest.raises(DistrustError, match="does not belong"):
        certificate_files.own_pair(one.certificate, other.key)
    one.key.chmod(0o644)
    with pytest.raises(DistrustError, match="chmod 600"):
        certificate_files.own_pair(one.certificate, one.key)
    curve = tmp_path / "curve.key"
    curve.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    curve.chmod(0o600)
    with pytest.raises(DistrustError, match="no RSA key"):
        certificate_files.private_key(curve)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    folder = tmp_path / "plantgate"
    folder.mkdir()
    os.chown(folder, 4242, 4243)
    own_certificate(folder / "opcua" / "own.der", folder / "opcua" / "own.key")
    for path in (folder / "opcua", *(folder / "opcua").iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4243)


def strangers(count: int) -> list[bytes]:
    key, now = new_key(), dt.datetime.now(dt.UTC)
    made = (self_signed(key, f"urn:stranger:{number}", "stranger/../x", now) for number in range(count))
    return [one.public_bytes(serialization.Encoding.DER) for one in made]


def test_strangers_are_kept_within_a_bound_the_oldest_goes_first(tmp_path: Path) -> None:
    folder = tmp_path / "rejected"
    shown = strangers(MAX_REJECTED + 3)
    for number, one in enumerate(shown):
        path = reject(folder, one)
        assert path.parent == folder
        os.utime(path, (number, number))
    assert len(list(folder.iterdir())) == MAX_REJECTED
    kept = {file.facts.application_uri for file in stored("rejected", folder) if file.facts}
    assert kept == {f"urn:stranger:{number}" for number in range(3, MAX_REJECTED + 3)}
    again = reject(folder, shown[-1])
    assert len(list(folder.iterdir())) == MAX_REJECTED
    assert again.exists()


def test_trust_moves_exactly_the_one_meant(tmp_path: Path) -> None:
    rejected, trusted = tmp_path / "rejected", tmp_path / "trusted"
    first, second = strangers(2)
    for one in (first, second):
        reject(rejected, one)
    (rejected / "rubbish.der").write_bytes(b"rubbish")
    mark = Facts.of(certificate(first, "it")).fingerprint
    for typed, words in (
        (mark[:31], "no fingerprint"),
        ("zz" * 32, "no fingerprint"),
        (mark[:63], "no rejected"),
        ("0" * 64, "no rejected"),
    ):
        with pytest.raises(DistrustError, match=words):
            trust(typed, rejected, trusted)
    moved = trust(mark.upper(), rejected, trusted)
    assert moved.facts is not None
    assert moved.facts.fingerprint == mark
    assert moved.path.read_bytes() == first
    assert [file.place for file in stored("rejected", rejected) if file.facts] == ["rejected"]
    with pytest.raises(DistrustError, match="no rejected"):
        trust(mark, rejected, trusted)
    with pytest.raises(DistrustError, match="one file"):
        trust(mark, rejected, moved.path)


def test_trusted_may_name_one_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (shown,) = strangers(1)
    path = reject(tmp_path / "rejected", shown)
    path.with_suffix(".pem").write_bytes(certificate(shown, "it").public_bytes(serialization.Encoding.PEM))
    mark = Facts.of(certificate(shown, "it")).fingerprint
    moved = trust(mark, tmp_path / "rejected", tmp_path / "pki" / "gds.der")
    assert moved.path == tmp_path / "pki" / "gds.der"
    assert moved.path.read_bytes() == shown
    assert certificate_files.trusted_files(moved.path) == {"gds.der": shown}
    assert list((tmp_path / "rejected").iterdir()) == [], "copies of it are rejected no longer"


def test_a_crowded_folder_trusts_nobody_and_trusting_never_crowds_it(tmp_path: Path) -> None:
    (shown,) = strangers(1)
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    reject(tmp_path / "rejected", shown)
    for number in range(certificate_files.MAX_TRUSTED):
        (trusted / f"{number}.der").touch()
    with pytest.raises(DistrustError, match="100 certificates"):
        trust(Facts.of(certificate(shown, "it")).fingerprint, tmp_path / "rejected", trusted)
    assert len(certificate_files.trusted_files(trusted)) == certificate_files.MAX_TRUSTED
    (trusted / "one-more.der").write_bytes(shown)
    with pytest.raises(DistrustError, match="101 certificates"):
        certificate_files.trusted_files(trusted)


def test_an_expired_stranger_is_not_trusted(tmp_path: Path) -> None:
    old = opcua_application(tmp_path, "old", "urn:old", validity=Validity.EXPIRED)
    reject(tmp_path / "rejected", old.certificate_der.read_bytes())
    with pytest.raises(DistrustError, match="has expired"):
        trust(old.fingerprint, tmp_path / "rejected", tmp_path / "trusted")
    (shown,) = stored("rejected", tmp_path / "rejected")
    assert "has expired" in shown.problem


def test_files_that_are_none_are_shown_with_their_problem(tmp_path: Path) -> None:
    assert stored("own", tmp_path / "nowhere") == []
    (tmp_path / "a.der").write_bytes(b"rubbish")
    (shown,) = stored("trusted", tmp_path)
    assert shown.facts is None
    assert "not a certificate" in shown.problem
