from itertools import product

import pytest

from gateway.alarm.parts import PARTS, TRANSITIONS, ImpossibleError, State, step

TABLE = {
    # part: {transition: (from which, to which)}; a transition that a part does not name leaves it alone
    "active": {
        "raise": ({False}, True),
        "escalate": ({True}, True),
        "deescalate": ({True}, True),
        "cause": ({True}, True),
        "realarm": ({True}, True),
        "clear": ({True}, False),
        "reset": ({False}, False),
    },
    "acknowledged": {
        "raise": ({False}, False),
        "escalate": ({False, True}, False),
        "ack": ({False}, True),
        "realarm": ({True}, False),
        "reset": ({True}, True),
    },
    "latched": {"reset": ({True}, False)},
    "shelved": {"shelve": ({False, True}, True), "unshelve": ({True}, False)},
    "suppressed": {"suppress": ({False, True}, True), "unsuppress": ({True}, False)},
    "out_of_service": {"out_of_service": ({False, True}, True), "in_service": ({True}, False)},
}
"""Said a second time, by hand: what the standard's words mean, not what the code does."""


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_every_pair_of_state_and_transition(transition):
    for state in map(State._make, product((False, True), repeat=len(PARTS))):
        possible = all(
            stands in TABLE[name][transition][0]
            for name, stands in state._asdict().items()
            if transition in TABLE[name]
        )
        if not possible:
            with pytest.raises(ImpossibleError):
                step(state, transition)
            continue
        expected = {
            name: TABLE[name][transition][1] if transition in TABLE[name] else stands
            for name, stands in state._asdict().items()
        }
        assert step(state, transition)._asdict() == expected


def test_a_refusal_names_what_stands_in_the_way():
    with pytest.raises(ImpossibleError, match="ack is not possible while acknowledged"):
        step(State(active=True, acknowledged=True), "ack")
    with pytest.raises(ImpossibleError, match="clear is not possible while inactive"):
        step(State(), "clear")


def test_the_parts_stand_in_the_order_of_the_state_and_start_at_rest():
    assert tuple(part.name for part in PARTS) == State._fields
    assert not any(State())


def test_every_transition_moves_or_names_a_part():
    assert {transition for part in PARTS for _, transition in part.table} == set(TRANSITIONS)
