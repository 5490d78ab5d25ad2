"""Snapshot files on a real folder."""

from __future__ import annotations

import hashlib
import os

import pytest

from buffer.errors import SnapshotError, SpoolFolderError
from buffer.files import SnapshotFiles


def test_kept_by_content_and_read_back(tmp_path):
    files = SnapshotFiles(tmp_path / "snapshots", 1_000)
    stored = files.store(b"a picture")
    assert stored.sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert files.read(stored.sha256) == b"a picture"
    assert files.store(b"a picture").deleted == ()
    assert files.size_bytes() == 9
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == [f"{stored.sha256}.jpg"]


def test_the_oldest_go_first_also_after_a_restart(tmp_path):
    files = SnapshotFiles(tmp_path, 30)
    names = [files.store(bytes([n]) * 10).sha256 for n in range(3)]
    for n, name in enumerate(names):
        os.utime(tmp_path / f"{name}.jpg", ns=(n, n))
    (tmp_path / "torn.part").write_bytes(b"half a pict")
    files = SnapshotFiles(tmp_path, 30)
    assert files.store(b"d" * 11).deleted == (names[0], names[1])
    assert files.size_bytes() == 21
    assert not (tmp_path / "torn.part").exists()
    with pytest.raises(SnapshotError, match="gone"):
        files.read(names[0])


def test_damage_and_foreign_names_are_said(tmp_path):
    files = SnapshotFiles(tmp_path, 1_000)
    name = files.store(b"a picture").sha256
    (tmp_path / f"{name}.jpg").write_bytes(b"b picture")
    with pytest.raises(SnapshotError, match="damaged"):
        files.read(name)
    with pytest.raises(SnapshotError, match="not the name"):
        files.read("../../etc/passwd")


def test_a_missing_folder_names_the_remedy(tmp_path):
    with pytest.raises(SpoolFolderError, match="create it"):
        SnapshotFiles(tmp_path / "no" / "where", 10).store(b"x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolFolderError, match="create it"):
        SnapshotFiles(tmp_path / "file", 10).store(b"x")
