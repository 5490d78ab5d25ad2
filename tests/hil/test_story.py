"""The script of the demo: told in two languages, in order, and ended by its first failure."""

import asyncio
import string

import pytest

from hil import story
from hil.commands import MIN_DEMO_SECONDS
from hil.farm import Farm


def test_everything_is_told_in_both_languages_with_the_same_facts():
    fields = [
        [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts]
        for texts in story.TOLD.values()
    ]
    assert all(zh == en for zh, en in fields)


def test_the_leak_reaches_level_2_while_the_province_is_away_and_all_is_over_before_the_end():
    assert story.LEAK_AT < story.OUTAGE_AT < story.LEAK_AT + story.LEAK_RISES
    assert story.LEAK_ENDS_AT < story.OUTAGE_AT + story.OUTAGE < story.REBOOT_AT
    assert story.REBOOT_AT + story.REBOOT < story.GROUND_AT < story.GROUND_UNTIL < 1


def test_the_bureau_warns_and_is_answered_while_the_province_is_away():
    assert story.OUTAGE_AT < story.WARN_AT < story.ANSWER_AT < story.OUTAGE_AT + story.OUTAGE


def test_the_shelf_begins_before_its_alarm_and_ends_before_it():
    assert story.SHELVE_AT < story.GROUND_AT < story.SHELVE_AT + story.SHELF < story.GROUND_UNTIL


def test_the_second_tank_is_full_when_its_plc_goes_even_in_the_shortest_story():
    farm = Farm()
    farm.plant.step(60.0)
    assert farm.fullest_beside() != farm.tank
    assert farm.seconds_to_high(farm.fullest_beside()) < story.REBOOT_AT * MIN_DEMO_SECONDS


def test_the_first_failure_ends_the_others():
    ended = []

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("it broke")

    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("waits")

    with pytest.raises(ValueError, match="it broke"):
        asyncio.run(story.together(waits(), fails()))
    assert ended == ["waits"]
