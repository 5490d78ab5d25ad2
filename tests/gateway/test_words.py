"""The sentences: each is used, none is missing, each exit code follows from its code's family."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import Exit
from gateway.words import EXITS, MAX_LISTED, SENTENCES, meant, reason, said

CODE = re.compile(rf'"(E-(?:{"|".join(EXITS)})[A-Z-]*)"')
GIVEN_BY_THE_DRIVER = {"E-POINTS-DRIVER", "E-CONFIG-DRIVER"}


def test_every_sentence_is_used_and_every_code_has_one(checkout: Path) -> None:
    files = [file for file in (checkout / "gateway").rglob("*.py") if file.name != "words.py"]
    used = {code for file in files for code in CODE.findall(file.read_text("utf-8"))}
    assert used - GIVEN_BY_THE_DRIVER == set(SENTENCES)


def test_every_sentence_is_whole_in_both_languages() -> None:
    for code, sentences in SENTENCES.items():
        assert code.split("-")[1] in EXITS, code
        for sentence in sentences:
            assert sentence.endswith(("。", ".", "？", "}", "…", '"。', "）")), (code, sentence)


def test_the_family_gives_the_exit_code() -> None:
    assert said("E-CERT-MISSING", "x").exit_code is Exit.ENVIRONMENT
    assert said("E-POINTS-EMPTY", "x").exit_code is Exit.USER_FILE


def test_a_fact_with_braces_is_only_a_fact() -> None:
    assert '"{boom}" is not a number.' in said("E-POINTS-NUMBER", "x", cell="{boom}").line("en")


@pytest.mark.parametrize(
    ("word", "known", "zh", "en"),
    [
        ("modbuss", ["modbus", "opcua"], "是不是“modbus”？", 'Did you mean "modbus"?'),
        ("PLC1", ["plc1"], "是不是“plc1”？", 'Did you mean "plc1"?'),
        ("xyz", ["modbus", "opcua"], "可用的有：modbus、opcua。", "Known: modbus, opcua."),
        ("xyz", [], "目前一个也没有定义。", "None is defined yet."),
    ],
)
def test_the_word_that_was_meant(word: str, known: list[str], zh: str, en: str) -> None:
    assert meant(word, known) == {"zh": zh, "en": en}


def test_a_long_list_is_cut() -> None:
    text = meant("?", [f"name-{i}" for i in range(100)])["en"]
    assert text.count("name-") == MAX_LISTED
    assert "88 more" in text


def test_why_the_system_refused_is_said_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        (tmp_path / "gone").read_bytes()
    assert reason(caught.value) == {"zh": "没有这个文件或目录", "en": "No such file or directory"}
    assert reason(OSError("odd")) == {"zh": "odd", "en": "odd"}


def test_a_drivers_detail_is_said_in_chinese_where_it_is_known() -> None:
    error = said("E-DEVICE-UNREACHABLE", "plc", detail="10.0.0.1:502: No route to host")
    assert "10.0.0.1:502: 没有到主机的路由" in error.cause["zh"]
    assert "10.0.0.1:502: No route to host" in error.cause["en"]
