from hil.load import Load, crossing_of
from hil.modbus_plc import Unit


def test_crossings_name_their_own_answer_and_end_when_told():
    load = Load(0, 10)
    unit = Unit(load.name, 12)
    seen = []
    for step in range(40):
        load.crossing = 8 <= step < 30
        load.refresh(unit)
        seen.append(int(unit.registers[2]))
        unit.registers[1] += 1
    beyond = [i for i, raw in enumerate(seen) if raw >= 60_000]
    assert beyond
    assert load.crossed
    assert len(load.crossed) == len(load.returned)
    assert [crossing_of(seen[counter - 1] * 0.1) for counter in load.crossed] == list(
        range(len(load.crossed))
    )
    assert max(beyond) <= 30
    assert all(seen[counter - 1] < 2_000 for counter in load.returned)
