"""Words, figures and times as people read them."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway import table_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (9.87654321, "9.87654"),
        (0.0, "0"),
        (1_234_567.0, "1234567"),
        (float(2**53 - 1), "9007199254740991"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (1e300, "1e+300"),
        (-2.5e-7, "-2.5e-07"),
        ("V1.2 罐", "V1.2 罐"),
        ("\x1b[2Jgone\n", "·[2Jgone·"),
        ("", ""),
    ],
)
def test_values_as_people_read_them(value: float | str | None, text: str) -> None:
    assert table_words.number(value) == text


def test_a_moment_of_today_is_a_time_and_one_of_another_day_has_its_date() -> None:
    now = dt.datetime.now(dt.UTC)
    assert table_words.moment(now.isoformat()) == now.astimezone().strftime("%H:%M:%S")
    assert table_words.moment("2020-01-02T12:04:05.000Z").startswith("2020-01-02 ")
    assert table_words.moment(None) == "—"


@pytest.mark.parametrize(("share", "text"), [(None, "—"), (0.0, "0 %"), (41.6, "42 %")])
def test_shares(share: float | None, text: str) -> None:
    assert table_words.percent(share) == text


def test_every_word_is_said_in_both_languages_and_an_unknown_one_stays() -> None:
    assert all(zh and en for zh, en in table_words.WORDS.values())
    assert table_words.word("XV-7", "zh") == "XV-7"


def test_a_list_that_does_not_fit_names_what_is_missing_in_its_own_words() -> None:
    text = table_words.plain_text("x")
    made = table_words.listing("alarms", ("name",), [{"name": text}], "zh", below=())
    assert (made.title, made.more(3)) == ("报警", "还有 3 条报警未显示")
    assert table_words.listing("held", ("name",), [], "en", below=()).more(3) == "3 more rows not shown"


def test_a_state_has_its_colour() -> None:
    assert table_words.state_text("HH", "zh").style == "bold red"
    assert table_words.state_text("nobody", "zh").style == ""
