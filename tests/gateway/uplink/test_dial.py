import contextlib
import gc
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from gateway.uplink.dial import Dialer
from gateway.uplink.refusals import client_tls
from hil.pki import Authority
from hil.ports import free_port


def _sockets():
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            names.add(str(entry.readlink()))
    return {name for name in names if name.startswith("socket:")}


@pytest.fixture
def tls(tmp_path):
    authority = Authority(tmp_path)
    client = authority.client("gateway")
    return lambda: client_tls(authority.ca_file, client.certificate, client.key)


def test_interrupted_before_it_began(tls):
    dialer = Dialer(tls, 5, 5)
    dialer.interrupt()
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ConnectionAbortedError):
        dialer.dial(*server.getsockname())
    dialer.release()


def test_interrupted_while_the_other_side_is_silent(tls):
    dialer = Dialer(tls, 60, 60)
    with socket.create_server(("127.0.0.1", 0)) as server:
        timer = threading.Timer(0.2, dialer.interrupt)
        timer.start()
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on where it was interrupted
            dialer.dial(*server.getsockname())
        timer.join()
    dialer.release()


def test_nobody_there_and_no_such_name(tls):
    dialer = Dialer(tls, 5, 5)
    with pytest.raises(ConnectionRefusedError):
        dialer.dial("127.0.0.1", free_port())
    with pytest.raises(OSError):  # noqa: PT011 - the resolver's own kind
        dialer.dial("does-not-exist.invalid", 1)
    dialer.release()


def test_failed_handshake_leaves_no_socket(tls):
    dialer = Dialer(tls, 5, 5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ssl.SSLError):
            dialer.dial(*server.getsockname())
        thread.join()
    dialer.release()
    assert dialer._handles == []


def test_reset_between_connection_and_handshake_leaves_no_socket():
    """Python's wrap_socket forgets the socket then; only the garbage collector would find it."""
    reset = threading.Event()

    class WaitsForReset(ssl.SSLContext):
        def wrap_socket(self, *args, **kwargs):
            assert reset.wait(10)
            return super().wrap_socket(*args, **kwargs)

    def answer():
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        reset.set()

    dialer = Dialer(lambda: WaitsForReset(ssl.PROTOCOL_TLS_CLIENT), 5, 5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        gc.disable()
        try:
            before = _sockets()
            with pytest.raises(ConnectionResetError):
                dialer.dial(*server.getsockname())
            thread.join()
            dialer.release()
            assert _sockets() == before
        finally:
            gc.enable()
