"""Gathers what is left of a demo to judge it by: reads record, receivers' stores, a siren's file. Judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from gateway.receive.store import arrivals
from hil.evidence import Evidence, Received
from hil.recorded import recorded_alarms
from hil.site import Site
from hil.witness import Look

SNAPSHOT: Final = "snapshot"


def evidence_of(
    site: Site,
    siren: Path,
    looks: Sequence[Look],
    pictures: Mapping[str, set[str]],
    tags: Collection[str],
) -> Evidence:
    """Gather it after ``Site.finish``.

    Args:
        site: gateway and receivers have ended.
        siren: file of an output that is told every change.
        looks: see ``witness``.
        pictures: recipient -> ids of the pictures that came whole.
        tags: points whose values matter.
    """
    received = {}
    for name in site.plan.recipients:
        got = received[name] = Received(pictures=pictures[name])
        for one in arrivals(site.stores[name]):
            if one.key and one.outcome != "redelivered" and one.key.split("/")[2] != SNAPSHOT:
                got.take(orjson.loads(one.payload), tags)
    sounded = [orjson.loads(line) for line in siren.read_bytes().splitlines()] if siren.exists() else []
    return Evidence(recorded_alarms(site), received, sounded, looks)
