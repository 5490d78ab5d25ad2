"""What `opcua certs` and `opcua trust` show: whole fingerprints on any screen, days left, what to do."""

import datetime as dt
from pathlib import Path

import pytest
from rich.console import Console

from drivers.kit.certificates import Facts
from drivers.opcua import Offer, Options
from drivers.wire.certificate_files import Stored
from gateway.commands import opcua_view as view
from gateway.commands.opcua_view import Server, Shown

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def facts(digit="a", days=100):
    return Facts(digit * 64, f"CN={digit}", "urn:x", NOW - 300 * DAY, NOW + days * DAY)


def shown(facts_of=None, *, trusted=False, unreachable="", **options):
    offer = None
    if facts_of is not None:
        offer = Offer(
            "opc.tcp://h:4840", "Basic256Sha256", "Sign", ("anonymous",), True, facts_of, trusted, "why not"
        )
    return Shown(Server("gds", Options(url="opc.tcp://h", **options)), offer, unreachable)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (shown(facts(), trusted=True), "trusted"),
        (shown(facts()), "untrusted"),
        (shown(facts(days=-1)), "expired"),
        (shown(), "bare"),
        (shown(unreachable="no answer"), "unreachable"),
        (shown(facts(), insecure=True), "insecure"),
    ],
)
def test_the_verdict_in_one_word(one, verdict):
    assert one.verdict(NOW) == verdict


def found(one, *stored):
    own = Stored("own", Path("own.der"), facts("0", 7000))
    return view.summary([own], [one], {"gds": list(stored)}, NOW)


def printed(what, language, width):
    screen = Console(width=width)
    with screen.capture() as captured:
        screen.print(view.screen(what, language))
    return captured.get()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [80, 120])
def test_both_fingerprints_stand_unbroken_beside_each_other(language, width):
    kept = Stored("trusted", Path("old.der"), facts("b", 5))
    lines = printed(found(shown(facts("c")), kept), language, width).splitlines()
    ours, theirs = " ".join(["BBBB"] * 4), " ".join(["CCCC"] * 4)
    assert sum(ours in line and theirs in line for line in lines) == 4
    assert any(("还有 5 天" if language == "zh" else "5 days left") in line for line in lines)
    assert max(map(len, lines)) <= width


def test_an_expired_one_is_not_offered_for_trust():
    text = printed(found(shown(facts("c", -3))), "zh", 120)
    assert "已过期 3 天" in text
    assert "plantgate opcua trust gds" not in text
    assert "plantgate opcua trust gds" in printed(found(shown(facts("c"))), "zh", 120)


def test_only_the_same_certificate_is_put_beside_the_one_shown():
    stored = [Stored("trusted", Path(f"{digit}.der"), facts(digit)) for digit in "bcd"]
    [server] = found(shown(facts("c"), trusted=True), *stored)["servers"]
    assert [one["path"] for one in server["trusted"]] == ["c.der"]
    [server] = found(shown(facts("e")), *stored)["servers"]
    assert [one["path"] for one in server["trusted"]] == ["b.der", "c.der", "d.der"]


def test_a_trusted_file_that_is_no_certificate_is_said():
    broken = Stored("trusted", Path("photo.der"), None, "photo.der is not a certificate")
    assert "photo.der is not a certificate" in printed(found(shown(facts()), broken), "en", 200)


def test_names_from_a_certificate_are_no_markup():
    nasty = Facts("a" * 64, "CN=[red]x[/red]", "", NOW, NOW + DAY)
    rejected = Stored("rejected", Path("r.der"), nasty)
    assert "CN=[red]x[/red]" in printed(found(shown(facts()), rejected), "zh", 200)
