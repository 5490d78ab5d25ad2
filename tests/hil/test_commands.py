"""The bench on the command line: scenarios are found by their file, and a broken one is a failed verdict."""

import json

from gateway.cli import main
from hil import scenarios
from hil.processes import ToolMissingError


def test_every_scenario_has_a_name_a_summary_and_can_be_run():
    found = [scenarios.load(name) for name in scenarios.names()]
    assert "smoke" in [one.name for one in found]
    for one in found:
        assert one.summary.endswith((".", "。")), one.name
        assert "_" not in one.name
        assert callable(one.run)


def test_the_list_is_data(capsys):
    assert main(["bench", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == scenarios.names()


def test_an_unknown_scenario_is_a_usage_error_that_names_the_known(capsys):
    assert main(["bench", "run", "smok", "--lang", "en"]) == 2
    assert "smoke" in capsys.readouterr().err


def test_a_scenario_that_breaks_is_a_failed_verdict(monkeypatch, capsys):
    async def run(*, long):
        raise RuntimeError(f"broken, long={long}")

    monkeypatch.setattr(scenarios, "load", lambda name: scenarios.Scenario(name, "", run))
    assert main(["bench", "run", "smoke", "--long", "--json"]) == 1
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures == {"scenario": "smoke", "verdict": "fail", "error": "RuntimeError: broken, long=True"}


def test_a_missing_program_is_one_sentence_with_its_package(monkeypatch, capsys):
    async def run(*, long):
        del long
        raise ToolMissingError("mosquitto", "mosquitto")

    monkeypatch.setattr(scenarios, "load", lambda name: scenarios.Scenario(name, "", run))
    assert main(["bench", "run", "smoke"]) == 7
    told = capsys.readouterr().err
    assert "apt-get install mosquitto" in told
    assert "Traceback" not in told
