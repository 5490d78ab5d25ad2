from pathlib import Path

import pytest

from gateway.glance import DEFAULT_RUNTIME_FOLDER, Glance, glance


def test_language_and_socket_folder_are_seen_without_judging_the_rest(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('nonsense = 1\n[gateway]\nlanguage = "en"\n[runtime]\nfolder = "run"\n', encoding="utf-8")
    assert glance(path) == Glance("en", tmp_path / "run")


@pytest.mark.parametrize(
    "text", ["", "[gateway", 'gateway = "x"', "[gateway]\nlanguage = 3\n[runtime]\nfolder = 4"]
)
def test_whatever_is_wrong_the_defaults_hold(tmp_path, text):
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    assert glance(path) == Glance("zh", DEFAULT_RUNTIME_FOLDER)


def test_no_file_is_no_failure():
    assert glance(Path("nowhere/gateway.toml")) == Glance()
