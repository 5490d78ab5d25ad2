"""The load over the control socket: for anybody."""

from gateway.control import Peer
from gateway.desk.stats import deeds


def test_anybody_may_see_the_load_as_it_is_now():
    views = iter([{"new_24h": 1}, {"new_24h": 2}])
    [(op, deed)] = deeds(lambda: next(views)).items()
    assert (op, deed.role) == ("alarm_stats", "viewer")
    peer = Peer("wang", "viewer")
    assert [deed.do({"op": op}, peer) for _ in range(2)] == [{"new_24h": 1}, {"new_24h": 2}]
