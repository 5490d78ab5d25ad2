import numpy as np

from gateway.alarm.conditions import Conditions
from gateway.alarm.contacts import Contacts

PLAIN = Conditions()
SEEN = np.ones(3, dtype=bool)


def test_a_contact_suppresses_while_it_is_good_and_in_its_state():
    contacts = Contacts([Conditions(suppressed_by="XS-1"), PLAIN, PLAIN], {"XS-1": 2})
    values, good = np.array([50.0, 50.0, 0.0]), np.ones(3, dtype=bool)
    assert list(contacts.changed(values, good, SEEN)) == []
    values[2] = 1.0
    assert list(contacts.changed(values, good, SEEN)) == [(0, 2)]
    assert contacts.holding.tolist() == [True]
    assert list(contacts.changed(values, good, SEEN)) == [], "told once"
    good[2] = False
    assert list(contacts.changed(values, good, SEEN)) == [(0, None)], (
        "a contact that is not good suppresses nothing"
    )
    good[2] = True
    assert list(contacts.changed(values, good, SEEN)) == [(0, 2)]
    values[2] = 0.0
    assert list(contacts.changed(values, good, SEEN)) == [(0, None)]


def test_the_state_that_suppresses_may_be_off():
    contacts = Contacts([PLAIN, Conditions(suppressed_by="XS-1", suppressed_on=0)], {"XS-1": 0})
    good = np.ones(2, dtype=bool)
    assert list(contacts.changed(np.array([0.0, 1.0]), good, good)) == [(1, 0)]
    assert list(contacts.changed(np.array([1.0, 1.0]), good, good)) == [(1, None)]


def test_without_contacts_nothing_is_suppressed():
    contacts = Contacts([PLAIN], {})
    assert list(contacts.changed(np.array([1.0]), np.ones(1, dtype=bool), np.ones(1, dtype=bool))) == []
    assert len(contacts.holding) == 0


def test_what_was_suppressed_at_the_last_stop_is_until_its_contact_has_been_read():
    contacts = Contacts([Conditions(suppressed_by="XS-1"), PLAIN], {"XS-1": 1})
    contacts.restore(0)
    values, unread = np.array([50.0, np.nan]), np.zeros(2, dtype=bool)
    assert list(contacts.changed(values, unread, unread)) == []
    assert contacts.holding.tolist() == [True]
    assert list(contacts.changed(values, unread, ~unread)) == [(0, None)], "read in vain is read"
