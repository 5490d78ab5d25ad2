"""The drivers' tests find their peers and the shared contract beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("source_contract", "page_contract")
sys.path.insert(0, str(Path(__file__).parent))
