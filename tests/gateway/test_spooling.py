from pathlib import Path

import pytest

from buffer.errors import SpoolBusyError, SpoolFolderError, SpoolNewerError
from gateway.errors import Exit
from gateway.plant import StorageConfig
from gateway.spooling import spool_settings, spool_trouble


@pytest.mark.parametrize(("quota", "reserve"), [(8 << 30, 256 << 20), (80 << 20, 10 << 20)])
def test_a_small_quota_keeps_back_a_part_and_not_all(quota, reserve):
    settings = spool_settings(StorageConfig(Path("x"), quota_bytes=quota, retention_days=30, flush_s=2.0))
    assert (settings.quota_bytes, settings.reserve_bytes) == (quota, reserve)
    assert settings.retention_s == 30 * 86_400
    assert settings.settle_s > 2.0


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (SpoolNewerError("version 9"), "E-SPOOL-NEWER", Exit.INTEGRITY),
        (SpoolBusyError("held"), "E-STORAGE-BUSY", Exit.ENVIRONMENT),
        (SpoolFolderError("read-only"), "E-STORAGE-FOLDER", Exit.ENVIRONMENT),
    ],
)
def test_what_stands_in_the_way_has_a_name_a_remedy_and_an_exit_code(error, code, exit_code):
    told = spool_trouble(error, Path("data"))
    assert (told.code, told.exit_code, told.place) == (code, exit_code, "data")
    assert told.remedy["zh"]
    assert told.remedy["en"]
