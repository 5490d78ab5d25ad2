"""Every driver's page: its parts, its samples as the gateway takes them, and what it promises."""

from __future__ import annotations

from pathlib import Path

import page_contract
import pytest

import drivers

ROOM = Path(drivers.__file__).parent
PAGES = sorted(page for page in ROOM.glob("*.md") if page.stem != "README")


def stem(page: Path) -> str:
    return page.stem


def test_every_driver_module_has_its_page() -> None:
    modules = {path.stem for path in ROOM.glob("*.py")} - {"__init__"}
    assert modules == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_the_page_has_its_parts(page: Path) -> None:
    page_contract.has_its_parts(page)


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_the_samples_are_taken_by_the_gateway(page: Path, tmp_path: Path) -> None:
    page_contract.samples_are_taken(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_the_sample_shows_every_option_and_no_other(page: Path) -> None:
    page_contract.sample_shows_every_option(page)


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_the_promises_are_done_to_do_or_exempt_with_a_reason(page: Path) -> None:
    page_contract.promises_are_told(page)


def test_the_rooms_page_names_every_file_of_the_room_and_of_the_kit() -> None:
    for folder in (ROOM, *(path.parent for path in ROOM.glob("*/README.md"))):
        text = (folder / "README.md").read_text(encoding="utf-8")
        names = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        assert [name for name in sorted(names) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("was", "becomes", "check"),
    [
        ("# host\n", "# box\n", "has_its_parts"),
        ("## Limits\n", "## Known\n", "has_its_parts"),
        ("Parallel requests:", "Requests:", "has_its_parts"),
        ("| done |", "| nearly |", "promises_are_told"),
        ("| exempt because nothing is opened for writing |", "| exempt |", "promises_are_told"),
        ("\npower_ok_text", "\npower_fine_text", "sample_shows_every_option"),
    ],
)
def test_a_page_that_lacks_something_is_found_out(was: str, becomes: str, check: str, tmp_path: Path) -> None:
    page = tmp_path / "host.md"
    text = (ROOM / "host.md").read_text(encoding="utf-8")
    assert was in text
    page.write_text(text.replace(was, becomes), encoding="utf-8")
    with pytest.raises(AssertionError):
        getattr(page_contract, check)(page)
