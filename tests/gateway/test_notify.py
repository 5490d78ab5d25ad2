import socket

from gateway.notify import notify


def test_systemd_hears_every_word(tmp_path, monkeypatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        notify("READY=1", "STATUS=罐区")
        assert systemd.recv(1000).decode() == "READY=1\nSTATUS=罐区"


def test_an_abstract_socket_is_understood(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0plantgate-test-notify")
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@plantgate-test-notify")
        notify("WATCHDOG=1")
        assert systemd.recv(1000) == b"WATCHDOG=1"


def test_nobody_listening_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify("WATCHDOG=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("WATCHDOG=1")
