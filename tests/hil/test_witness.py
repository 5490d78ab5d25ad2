"""What the gateway's statuses said, each change once."""

from hil.witness import Stood, Witness

ALARM = {"alarm_id": "a@1", "active": True, "last_known": False, "shelved_until": None, "value": 1.0}
STATUS = {
    "alarms": [ALARM],
    "warnings": [{"name": "bureau/W-1", "state": "unanswered", "age_s": 1}],
    "held": {"shelved": 0},
    "outputs": [{"name": "siren"}, {"name": "horn", "on": True, "because": "a@1"}],
}


def test_a_look_holds_what_is_judged():
    witness = Witness()
    witness.see(STATUS)
    (look,) = witness.looks
    assert look.alarms == (Stood("a@1", active=True, last_known=False, shelved=False),)
    assert look.warnings == (("bureau/W-1", "unanswered"),)
    assert look.because == ("a@1",)


def test_values_and_ages_make_no_new_look_but_every_change_does():
    witness = Witness()
    witness.see(STATUS)
    older = [{**STATUS["warnings"][0], "age_s": 9}]
    witness.see({**STATUS, "warnings": older, "alarms": [{**ALARM, "value": 2.0}]})
    assert len(witness.looks) == 1
    for change in (
        {"alarms": [{**ALARM, "active": False}]},
        {"alarms": [{**ALARM, "last_known": True}]},
        {"alarms": [{**ALARM, "shelved_until": "2026-11-22T03:31:00.000Z"}]},
        {"alarms": []},
        {"warnings": [{"name": "bureau/W-1", "state": "answered"}]},
        {"held": {"shelved": 1}},
        {"outputs": [{"name": "horn", "on": False, "because": ""}]},
    ):
        witness.see({**STATUS, **change})
    assert len(witness.looks) == 8
