"""Decides what an OPC UA node's address says, before anything is connected. Pure, no protocol library."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.kit.errors import PointError

_ADDRESS: Final = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)", re.DOTALL)
_MAX_INDEX: Final = 0xFFFF
_MAX_NUMBER: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node as written; which index its namespace has is known only once connected.

    Attributes:
        uri: of its namespace; None where the address gives the index itself.
        index: of its namespace, where ``uri`` is None.
        kind: ``i``, ``s``, ``g`` or ``b`` (OPC 10000-6 section 5.3.1.10).
        identifier: as written behind ``=``.
    """

    uri: str | None
    index: int
    kind: str
    identifier: str

    def on(self, namespaces: Sequence[str]) -> str | None:
        """The node in the notation with an index, None if this server does not know the namespace."""
        index = self.index
        if self.uri is not None:
            if self.uri not in namespaces:
                return None
            index = namespaces.index(self.uri)
        return f"ns={index};{self.kind}={self.identifier}"


def parse(address: str) -> NodeAddress:
    """Read an address: ``nsu=URI;s=name``, ``ns=2;s=name``, ``i=2258``; g= and b= (base64) likewise.

    Raises:
        PointError: it is none.
    """
    match = _ADDRESS.fullmatch(address.strip())
    if match and _plausible(match[3], match[4]) and int(match[1] or 0) <= _MAX_INDEX:
        return NodeAddress(match[2], int(match[1] or 0), match[3], match[4])
    raise PointError(
        "address",
        {"zh": f"“{address}”不是 OPC UA 节点。", "en": f'"{address}" is not an OPC UA node.'},
        {
            "zh": "请写 nsu=命名空间URI;s=名称（推荐）或 ns=2;s=名称。",
            "en": "Write nsu=namespace URI;s=name (better) or ns=2;s=name.",
        },
    )


def with_uri(text: str, namespaces: Sequence[str]) -> str:
    """A node in the notation with an index, as one with its namespace's URI; namespace 0 needs none."""
    node = parse(text)
    if node.uri is not None or node.index == 0 or node.index >= len(namespaces):
        return text
    return f"nsu={namespaces[node.index]};{node.kind}={node.identifier}"


def _plausible(kind: str, identifier: str) -> bool:
    try:
        if kind == "i":
            return identifier.isascii() and identifier.isdigit() and int(identifier) <= _MAX_NUMBER
        if kind == "g":
            uuid.UUID(identifier)
        if kind == "b":
            base64.b64decode(identifier, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True
