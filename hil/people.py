"""What people do on both sides of a site, with the installed commands: shelve, answer, warn. Starts processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from hil.program import Program, ProgramError, command
from hil.site import Site

COMMAND_TIMEOUT_S: Final = 20.0
"""A Raspberry Pi takes a second to start one; a busy machine several."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning as an authority gives it.

    Attributes:
        id: unique for this recipient.
        colour: red, orange, yellow or blue.
        title: one line.
        text: what people are told.
        points: tags it speaks of.
        answer_within_s: feedback is wanted by then.
    """

    id: str
    colour: str
    title: str
    text: str
    points: tuple[str, ...]
    answer_within_s: float


async def shelve(site: Site, target: str, for_s: float, reason: str) -> None:
    """An operator shelves a tag, a condition or an alarm for a time.

    Raises:
        ProgramError: the gateway did not let them.
    """
    await _done(site, "alarms", "shelve", target, "--for", f"{for_s:.1f}s", "--reason", reason, *_at(site))


async def answer(site: Site, order_id: str, cause: str, action: str) -> None:
    """An operator gives feedback to a warning.

    Raises:
        ProgramError: the gateway did not let them.
    """
    await _done(site, "warnings", "answer", order_id, "--cause", cause, "--action", action, *_at(site))


async def warn(site: Site, recipient: str, warned: Warned) -> None:
    """An authority sends a warning down to the gateway; ``SitePlan.orders_from`` must name it.

    Raises:
        ProgramError: its broker did not take it.
    """
    broker, key = site.brokers[recipient], site.orders[recipient].key
    own = broker.receivers[recipient]
    await _done(
        site,
        *("warn", "--recipient", recipient, "--host", broker.host, "--port", str(broker.port)),
        *("--ca", str(broker.authority.ca_file), "--signing-key", str(key)),
        *("--certificate", str(own.certificate), "--private-key", str(own.key)),
        *("--site", site.plan.site_id, "--gateway", site.plan.gateway_id),
        *("--id", warned.id, "--kind", "warning", "--colour", warned.colour),
        *("--title", warned.title, "--text", warned.text, "--points", *warned.points),
        *("--answer-within", f"{warned.answer_within_s:g}"),
    )


def _at(site: Site) -> tuple[str, str]:
    return "--config", str(site.configuration)


async def _done(site: Site, *argv: str) -> None:
    program = Program([command(), *argv], site.folder / "people.log", os.environ)
    program.start()
    try:
        status = await program.tree.wait(COMMAND_TIMEOUT_S)
    finally:
        program.kill()
    if status != 0:
        raise ProgramError(f"plantgate {argv[0]} ended with {status}. Its log ends: {program.tail()}")
