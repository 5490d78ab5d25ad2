"""TCP and TLS to one host, in a thread that may be interrupted. Opens sockets; knows no protocol above TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any


class TlsSocket(ssl.SSLSocket):
    """Remembers why TLS ended: in TLS 1.3 the refusal of our certificate comes after the handshake.

    Attributes:
        refusal: OpenSSL's words, empty while there are none.
    """

    refusal = ""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As the parent's."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as e:
            self.refusal = str(e)
            raise
        except OSError:
            # Reset before TLS began: ``wrap_socket`` reads once, raises this and forgets the socket it took over.
            if self.version() is None:
                self.close()
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """As the parent's; where the other side has hung up, its last word may still be unread."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            with contextlib.suppress(OSError):
                self.recv(1)
            raise


class Dialer:
    """Connects once.

    Args:
        make_tls: whom to trust and who we are; called by ``dial``, for it reads files, and a disk may hang.
        timeout_s: bound of the TCP and of the TLS handshake each, per address of the host.
        silence_s: TCP_USER_TIMEOUT of the connection.
    """

    def __init__(self, make_tls: Callable[[], ssl.SSLContext], timeout_s: float, silence_s: float) -> None:
        self._make_tls = make_tls
        self._timeout_s = timeout_s
        self._silence_ms = int(silence_s * 1000)
        self._handles: list[socket.socket] = []
        self._interrupted = threading.Event()

    def dial(self, host: str, port: int) -> ssl.SSLSocket:
        """Connect; blocks. Other threads may ``interrupt``.

        Raises:
            OSError: no address answered, or TLS failed (``ssl.SSLError``), or it was interrupted.
            UnicodeError: this is no host name.
            Exception: what ``make_tls`` raises.
        """
        tls = self._make_tls()
        tls.sslsocket_class = TlsSocket
        failure: OSError = ConnectionRefusedError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                # A second handle on the same connection: TLS takes the first one over.
                self._handles.append(sock.dup())
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._silence_ms)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(self._timeout_s)
                if self._interrupted.is_set():
                    raise ConnectionAbortedError("closed while connecting")
                sock.connect(address)
                sock = secure = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
                secure.do_handshake()
            except ssl.SSLError:
                sock.close()
                raise
            except OSError as e:
                sock.close()
                failure = e
            else:
                return secure
        raise failure

    def interrupt(self) -> None:
        """End the attempt, whatever it waits for; only a name look-up cannot be ended."""
        self._interrupted.set()
        for handle in list(self._handles):
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Close the handles ``interrupt`` needs; only when nobody dials any more."""
        while self._handles:
            self._handles.pop().close()
