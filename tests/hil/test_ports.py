"""A free port is free, and lies where no outgoing connection takes it."""

import socket

import pytest

from hil import ports


def test_a_free_port_can_be_bound():
    port = ports.free_port()
    assert ports.FIRST_PORT <= port <= ports.LAST_PORT
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_taken_ports_are_passed_over(monkeypatch):
    taken = ports.free_port()
    monkeypatch.setattr(ports, "FIRST_PORT", taken)
    monkeypatch.setattr(ports, "LAST_PORT", taken)
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(OSError, match=f"between {taken} and {taken}"),
    ):
        ports.free_port()
