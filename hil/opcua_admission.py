"""Whom a simulated OPC UA server lets in, and which services it lets them ask. Decides; touches nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from asyncua import ua
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.ua.object_ids import ObjectIdNames

READ_SERVICES: Final = frozenset(
    {
        *(
            "Read",
            "Browse",
            "BrowseNext",
            "TranslateBrowsePathsToNodeIds",
            "RegisterNodes",
            "UnregisterNodes",
        ),
        *("CreateSession", "CloseSession", "ActivateSession", "GetEndpoints", "FindServers"),
        *("CreateSubscription", "ModifySubscription", "DeleteSubscriptions", "TransferSubscriptions"),
        *("CreateMonitoredItems", "ModifyMonitoredItems", "DeleteMonitoredItems", "SetMonitoringMode"),
        *("SetPublishingMode", "Publish", "Republish", "HistoryRead", "CloseSecureChannel"),
    }
)
"""All a gateway may ever ask; any other service counts as a write seen."""


class Users:
    """Who comes in: anybody where nobody is named, else the named ones only."""

    def __init__(self, passwords: Mapping[str, str], certificates: frozenset[str]) -> None:
        self._passwords = passwords
        self._certificates = certificates
        named: list[type] = [ua.UserNameIdentityToken] * bool(passwords) + [ua.X509IdentityToken] * bool(
            certificates
        )
        self.tokens = named or [ua.AnonymousIdentityToken]

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """The user, None for nobody; asyncua has checked the signature of a user's certificate by then."""
        del iserver
        known = self.tokens == [ua.AnonymousIdentityToken]
        if username is not None:
            known = username in self._passwords and self._passwords[username] == password
        elif certificate is not None and self._certificates:
            known = hashlib.sha256(certificate).hexdigest() in self._certificates
        return User(UserRole.User, username) if known else None


class Counting(SimpleRoleRuleset):
    """Sees every request of a session by type, counts it and lets only reading ones through."""

    def __init__(self, services: Counter[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._services = services

    def check_validity(self, user: User, action_type_id: ua.NodeId, body: Any) -> bool:
        """Asked by asyncua before it serves a request."""
        del user, body
        name = ObjectIdNames[int(str(action_type_id.Identifier))].removesuffix(
            "Request_Encoding_DefaultBinary"
        )
        self._services[name] += 1
        return name in READ_SERVICES
