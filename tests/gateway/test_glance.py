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


@pytest.mark.parametrize(
    "half", ["port = ", "[alarms\nsecond_person = true", 'name = "', "\ufffe= \x00", "["]
)
def test_half_edited_it_is_read_line_by_line(tmp_path, half):
    path = tmp_path / "gateway.toml"
    text = "[gateway]\nlanguage = \"en\"  # English\n[runtime]\nfolder = 'run' # here\n[[device]]\n"
    path.write_text(f"{text}folder = 'elsewhere'\n{half}\n", encoding="utf-8")
    assert glance(path) == Glance("en", tmp_path / "run")


def test_bytes_that_are_no_text_hide_nothing(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_bytes('# 中文\n[runtime]\nfolder = "run"\n'.encode("gb18030"))
    assert glance(path).runtime_folder == tmp_path / "run"


def test_no_file_is_no_failure():
    assert glance(Path("nowhere/gateway.toml")) == Glance()
