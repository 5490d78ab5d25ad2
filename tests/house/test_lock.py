from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def blocks(checkout: Path) -> list[str]:
    return re.split(r"\n(?=\S)", (checkout / "requirements.lock").read_text(encoding="utf-8").strip())


def test_every_line_pins_one_version_with_hashes_and_names_no_address(blocks: list[str]):
    pinned = re.compile(
        r"[a-z0-9._-]+==[^\s;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+(\n    #.*)*"
    )
    assert [block for block in blocks if not pinned.fullmatch(block)] == []
    assert "://" not in "".join(blocks)


def test_every_dependency_of_pyproject_is_pinned_to_a_version_it_accepts(
    blocks: list[str], pyproject: dict[str, Any]
):
    versions = {
        canonicalize_name(name): version
        for name, version in (re.match(r"([^=]+)==([^\s;]+)", block).groups() for block in blocks)
    }
    project = pyproject["project"]
    wanted = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    wanted += [line for extra in project["optional-dependencies"].values() for line in extra]
    unmet = []
    for line in wanted:
        requirement = Requirement(line)
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            unmet.append(f"{line}: the lock has {version}")
    assert unmet == []
