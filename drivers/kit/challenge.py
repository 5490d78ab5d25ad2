"""Decides which of a server's login challenges is answered: the strongest that is understood. Pure.

Source: RFC 9110 section 11.6.1 (several challenges in one header or several), RFC 7616 (Digest), RFC 7617 (Basic).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_STRENGTH: Final = (
    "md5",
    "md5-sess",
    "sha-256",
    "sha-256-sess",
)
"""Digest algorithms from weak to strong; others are not answered."""
_SAID_BACK: Final = ("realm", "nonce", "opaque", "algorithm")
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PIECE: Final = re.compile(
    rf"""[\s,]*(?:
        (?P<key>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_WORD}))   # key=value
      | (?P<scheme>{_WORD})(?=[\s,]|$)                                                # a challenge begins
    )""",
    re.VERBOSE,
)


def strongest(headers: Sequence[str]) -> str:
    """The challenge to answer, written anew so that any client can read it.

    Args:
        headers: every WWW-Authenticate header of the answer.

    Returns:
        ``Digest …`` with the strongest algorithm offered, else ``Basic``, else "".
    """
    best, found = -2, ""
    for header in headers:
        for scheme, said in _challenges(header):
            rank = _rank(scheme, said)
            if rank > best:
                best, found = rank, _written(scheme, said)
    return found


def _rank(scheme: str, said: dict[str, str]) -> int:
    if scheme == "basic":
        return -1
    qualities = [one.strip().lower() for one in said.get("qop", "auth").split(",")]
    algorithm = said.get("algorithm", "md5").lower()
    if scheme != "digest" or "auth" not in qualities or not {"realm", "nonce"} <= said.keys():
        return -2
    return _STRENGTH.index(algorithm) if algorithm in _STRENGTH else -2


def _written(scheme: str, said: dict[str, str]) -> str:
    if scheme == "basic":
        return "Basic"
    # without qop the camera knows only the older answer (RFC 2069)
    taken = {key: said[key] for key in _SAID_BACK if key in said} | ({"qop": "auth"} if "qop" in said else {})
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in taken.items())


def _challenges(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    scheme, said = "", dict[str, str]()
    at = 0
    while found := _PIECE.match(header, at):
        at = found.end()
        if found["scheme"]:
            if scheme:
                yield scheme, said
            scheme, said = found["scheme"].lower(), {}
        else:
            value = found["plain"] if found["plain"] is not None else found["quoted"]
            said.setdefault(found["key"].lower(), value)
    if scheme:
        yield scheme, said
