"""Why a line is not up, in words a technician can act on. Decides what is a matter of time and what of a person.

Reads the certificate files for the TLS context; opens no socket.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509

from buffer.record import Lane
from gateway.uplink.message import Verdict
from gateway.uplink.transport import LinkError

PUBACK: Final[dict[int, Verdict]] = {
    0x00: Verdict.ACCEPTED,
    0x10: Verdict.NO_RECEIPT,  # nobody is subscribed: the broker has thrown it away
    0x87: Verdict.UNAUTHORISED,
    0x90: Verdict.REJECTED,  # topic name invalid
    0x95: Verdict.REJECTED,  # packet too large
    0x99: Verdict.REJECTED,  # payload format invalid
}
"""MQTT 5 section 3.4.2.1; every other code (0x80, 0x83, 0x91, 0x97 quota exceeded) may pass: same key again."""

_UNAUTHORISED_CODES: Final = frozenset({0x85, 0x86, 0x87, 0x8A, 0x8C})
_TAKEN_OVER: Final = 0x8E

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_HOST: Final = frozenset({62, 64})

_CALL: Final = {"zh": "请联系平台方与技术员。", "en": "Call the technician and the platform's operator."}
_WAIT: Final = {"zh": "将自动重连。", "en": "It is tried again by itself."}


def client_tls(ca: Path, certificate: Path, private_key: Path) -> ssl.SSLContext:
    """TLS 1.2 or later, our certificate shown, the other side's chain and host name checked.

    Raises:
        LinkError: a file is missing, unreadable, no PEM, of another key, encrypted, or out of date.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert context.check_hostname, "a TLS client context checks the host name"
    assert context.verify_mode is ssl.CERT_REQUIRED, "a TLS client context checks the chain"
    try:
        path = ca
        context.load_verify_locations(cafile=ca)
        path = certificate
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
        path = private_key
        # An encrypted key must fail and not ask at a terminal.
        context.load_cert_chain(certificate, private_key, password="")
    except (OSError, ValueError) as e:
        raise _unusable(path, e) from e
    if own.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise _expired_ours(certificate, own.not_valid_after_utc)
    return context


def of_connecting(error: Exception, host: str, port: int) -> LinkError:
    """Why a TCP connection or a TLS handshake did not come about."""
    place = f"{host}:{port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error, place)
    if isinstance(error, ssl.SSLError):
        return _of_tls(str(error), place)
    text = {
        "zh": f"无法连接 {place}（{error}）。",
        "en": f"{place} cannot be reached ({error}).",
    }
    return LinkError("E-LINK-UNREACHABLE", text, _WAIT)


def of_line(tls: str, host: str, port: int) -> LinkError:
    """Why a line that stood has ended; in TLS 1.3 the refusal of our certificate arrives only then."""
    if "ALERT" in tls.upper():
        return _of_tls(tls, f"{host}:{port}")
    return ended()


def ended() -> LinkError:
    """The line ended without a word."""
    return LinkError("E-LINK-LOST", {"zh": "连接已中断。", "en": "The connection was lost."}, _WAIT)


def unanswered(host: str, port: int) -> LinkError:
    """TLS stands, but the broker does not say whether it takes us."""
    text = {
        "zh": f"{host}:{port} 已接通，但代理服务器没有应答。",
        "en": f"{host}:{port} took the connection, but the broker does not answer.",
    }
    return LinkError("E-LINK-UNANSWERED", text, _WAIT)


def garbled(error: Exception) -> LinkError:
    """The other side spoke, but no MQTT."""
    text = {
        "zh": f"对方的应答不符合 MQTT 5（{error}）。",
        "en": f"The other side's answer is not MQTT 5 ({error}).",
    }
    return LinkError("E-LINK-GARBLED", text, _WAIT)


def of_connack(code: int, name: str) -> LinkError:
    """Why the broker refused the connection. Source: MQTT 5 table 3-1."""
    return _of_code(code, name, {"zh": "代理服务器拒绝连接", "en": "The broker refused the connection"})


def of_suback(code: int, name: str) -> LinkError:
    """Why the broker refused a subscription. Source: MQTT 5 section 3.9.3."""
    return _of_code(code, name, {"zh": "代理服务器拒绝订阅", "en": "The broker refused the subscription"})


def of_lanes(refused: Mapping[Lane, str]) -> LinkError:
    """The broker does not let us publish on these lanes (lane -> its word); the line stands, the others go on."""
    named, name = ", ".join(sorted(refused)), next(iter(refused.values()))
    deed = {"zh": f"代理服务器拒绝接收 {named}", "en": f"The broker refuses the lane {named}"}
    return _of_code(0x87, name, deed)


def of_disconnect(code: int, name: str) -> LinkError:
    """Why the broker ended the connection. Source: MQTT 5 section 3.14.2.1."""
    if code == _TAKEN_OVER:
        text = {
            "zh": "另一客户端以相同标识登录，会话被接管。",
            "en": "Another client took over the session with the same client id.",
        }
        remedy = {
            "zh": "请检查是否有两台网关使用同一标识。",
            "en": "Check whether two gateways bear the same id.",
        }
        return LinkError("E-LINK-TAKEN-OVER", text, remedy)
    return _of_code(code, name, {"zh": "代理服务器断开连接", "en": "The broker ended the connection"})


def _of_code(code: int, name: str, deed: dict[str, str]) -> LinkError:
    unauthorised = code in _UNAUTHORISED_CODES
    text = {"zh": f"{deed['zh']}（0x{code:02X} {name}）。", "en": f"{deed['en']} (0x{code:02X} {name})."}
    return LinkError(
        "E-LINK-UNAUTHORISED" if unauthorised else "E-LINK-REFUSED",
        text,
        _CALL if unauthorised else _WAIT,
        unauthorised=unauthorised,
    )


def _of_certificate(error: ssl.SSLCertVerificationError, place: str) -> LinkError:
    code = error.verify_code
    if code == _NOT_YET:
        text = {"zh": f"{place} 的证书尚未生效。", "en": f"The certificate of {place} is not valid yet."}
        remedy = {"zh": "请检查本机时钟。", "en": "Check this machine's clock."}
        # A clock that is not set yet sets itself; that must not take five minutes more.
        return LinkError("E-TLS-NOT-YET", text, remedy)
    if code == _EXPIRED:
        text = {"zh": f"{place} 的证书已过期。", "en": f"The certificate of {place} has expired."}
        remedy = {
            "zh": "请平台方更换证书，并检查本机时钟。",
            "en": "Have the platform renew it, and check this machine's clock.",
        }
        return LinkError("E-TLS-EXPIRED", text, remedy, unauthorised=True)
    if code in _HOST:
        text = {
            "zh": f"{place} 的证书属于其他主机。",
            "en": f"The certificate of {place} belongs to another host.",
        }
        remedy = {"zh": "请核对配置中的主机名。", "en": "Compare the host name in the configuration."}
        return LinkError("E-TLS-HOST", text, remedy, unauthorised=True)
    text = {
        "zh": f"{place} 的证书不是由配置的 CA 签发（{error.verify_message}）。",
        "en": f"The certificate of {place} is not from the configured CA ({error.verify_message}).",
    }
    remedy = {"zh": "请核对 CA 文件；切勿跳过验证。", "en": "Compare the CA file; never skip the check."}
    return LinkError("E-TLS-CA", text, remedy, unauthorised=True)


def _of_tls(words: str, place: str) -> LinkError:
    alert = words.upper()
    if "ALERT" in alert and ("CERTIFICATE" in alert or "UNKNOWN_CA" in alert or "ACCESS_DENIED" in alert):
        text = {
            "zh": f"{place} 不接受本机证书（{words}）。",
            "en": f"{place} does not accept our certificate ({words}).",
        }
        return LinkError("E-TLS-OURS", text, _CALL, unauthorised=True)
    text = {"zh": f"与 {place} 的 TLS 握手失败（{words}）。", "en": f"TLS with {place} failed ({words})."}
    return LinkError("E-TLS-FAILED", text, _WAIT)


def _unusable(path: Path, error: Exception) -> LinkError:
    text = {"zh": f"{path} 无法使用（{error}）。", "en": f"{path} cannot be used ({error})."}
    remedy = {
        "zh": "请检查文件是否存在、可读、为 PEM 格式，且证书与私钥匹配、私钥未加密。",
        "en": "It must exist, be readable and PEM; certificate and key must match, the key unencrypted.",
    }
    return LinkError("E-TLS-FILE", text, remedy, unauthorised=True)


def _expired_ours(path: Path, end: dt.datetime) -> LinkError:
    day = f"{end:%Y-%m-%d}"
    text = {"zh": f"本机证书 {path} 已于 {day} 过期。", "en": f"Our certificate {path} expired on {day}."}
    remedy = {"zh": "请更换证书，并检查本机时钟。", "en": "Renew it, and check this machine's clock."}
    return LinkError("E-TLS-OURS-EXPIRED", text, remedy, unauthorised=True)
