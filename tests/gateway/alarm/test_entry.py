from gateway.alarm.entry import Entry


def test_an_entry_remembers_nothing_unless_it_is_told_to():
    assert Entry("gap", {"a": 1}).state == {}
    assert Entry("gap", {}).state is not Entry("gap", {}).state
