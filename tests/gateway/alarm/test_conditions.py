from gateway.alarm.conditions import Balance, Conditions


def test_a_point_without_any_is_watched_for_nothing_beside_its_limits():
    plain = Conditions()
    assert (plain.rise_per_min, plain.fall_per_min, plain.deviation) == (None, None, None)
    assert not plain.latching
    assert not plain.forecast
    assert (plain.re_alarm_s, plain.first_out, plain.suppressed_by) == (0.0, "", "")


def test_a_balance_names_its_points():
    assert Balance("V-1", "LT-1", 12.5).inflows == ()
