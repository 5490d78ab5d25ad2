"""A storm of alarms: passes as it is; a receiver that lost one message, and a siren that lost one line, are found."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from hil.scenarios import alarm_storm
from hil.scenarios.alarm_storm import ACROSS, OUTPUT, Effort, Storm

SMALL = Effort(3, 20, 0.25, (Storm("across", ACROSS, 10),))


@pytest.mark.scenario
def test_everything_of_a_storm_is_everywhere_once():
    figures = asyncio.run(alarm_storm.measure(alarm_storm.SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["transitions"] == 2_000
    assert figures["told"].keys() == {"record", "province", "bureau", OUTPUT}
    assert all(one["told"] + one["coalesced"] == 2_000 for one in figures["told"].values())
    assert figures["live_list_samples"] > 10
    assert [one["floods"] for one in figures["storms"]] == [10, 10]


@pytest.mark.scenario
def test_one_message_and_one_line_that_are_missing_are_found():
    def tamper(site):
        with closing(sqlite3.connect(site.stores["bureau"])) as store, store:
            like = "%/alarm/%"
            (key,) = store.execute("SELECT max(key) FROM message WHERE key LIKE ?", (like,)).fetchone()
            store.execute("DELETE FROM arrival WHERE key = ?", (key,))
            store.execute("DELETE FROM message WHERE key = ?", (key,))
        horn = site.folder / alarm_storm.HORN_FILE
        lines = horn.read_bytes().splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if b'"transition":"escalate"' in line)
        horn.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))

    figures = asyncio.run(alarm_storm.measure(SMALL, tamper))
    assert figures["verdict"] == "fail"
    assert figures["told"]["bureau"]["lost"] == figures["recipients"]["bureau"]["lost"] == 1
    assert figures["told"][OUTPUT]["lost"] == 1
    assert figures["told"]["province"]["lost"] == figures["told"]["record"]["lost"] == 0


def test_an_area_whose_flood_is_told_too_small_is_found():
    storm = Storm("across", ACROSS, 10)
    flood = {"area": "p", "count": 30}
    blown = alarm_storm.Blown(storm, 0, 1, 0.0, 0, 0, {"floods": [flood] * 3, "new_24h": 90})
    assert alarm_storm._load_problems(SMALL, [blown]) == []
    small = alarm_storm.Blown(storm, 0, 1, 0.0, 0, 0, {"floods": [flood] * 2, "new_24h": 60})
    assert alarm_storm._load_problems(SMALL, [small]) != []


def test_only_an_output_may_tell_several_as_one():
    told = alarm_storm.Told(told=9, coalesced=1)
    assert alarm_storm.problems_of({OUTPUT: told}) == []
    assert alarm_storm.problems_of({"bureau": told}) != []
