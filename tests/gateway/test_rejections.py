from gateway.rejections import EVERY_NS, Rejections


def test_a_flood_of_rejections_is_one_record_a_minute_and_none_is_forgotten():
    rejections = Rejections()
    told = []
    for k in range(1000):
        rejections.add("province", f"gw/s/reading/{k}", "schema")
        told += rejections.due(k * EVERY_NS // 400)
    told += rejections.due(1000 * EVERY_NS)
    assert len(told) == 4
    assert sum(item["count"] for item in told) == 1000
    assert (told[0]["first_msg_id"], told[-1]["last_msg_id"]) == ("gw/s/reading/0", "gw/s/reading/999")


def test_recipients_are_counted_apart_and_silence_tells_nothing():
    rejections = Rejections()
    rejections.add("province", "a", "x")
    rejections.add("bureau", "b", "y")
    assert {item["recipient"] for item in rejections.due(0)} == {"province", "bureau"}
    assert rejections.due(10 * EVERY_NS) == []
