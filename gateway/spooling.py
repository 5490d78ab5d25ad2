"""How the spool is opened for this site: its bounds, and what a person is told if it does not open. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from buffer.errors import SpoolBusyError, SpoolError, SpoolNewerError
from buffer.settings import SpoolSettings
from gateway.errors import UserFacingError
from gateway.plant import StorageConfig
from gateway.words import said

RESERVE_BYTES: Final = 256 << 20
RESERVE_PART: Final = 8
"""Kept back for alarms and journal: so much, but of a small quota only this part."""

SETTLE_FLUSHES: Final = 2
"""Settlements wait so many flushes for an append to travel with, so that they cost no commit of their own."""


def spool_settings(storage: StorageConfig) -> SpoolSettings:
    """The spool's bounds as the site configured them."""
    return SpoolSettings(
        quota_bytes=storage.quota_bytes,
        reserve_bytes=min(RESERVE_BYTES, storage.quota_bytes // RESERVE_PART),
        retention_s=storage.retention_days * 86_400.0,
        settle_s=SETTLE_FLUSHES * storage.flush_s,
    )


def spool_trouble(error: SpoolError, folder: Path) -> UserFacingError:
    """What a technician has to do so that the spool opens."""
    if isinstance(error, SpoolNewerError):
        return said("E-SPOOL-NEWER", str(folder))
    if isinstance(error, SpoolBusyError):
        return said("E-STORAGE-BUSY", str(folder))
    return said("E-STORAGE-FOLDER", str(folder), message=str(error))
