"""``receive``: settings of the reference receiver from the command line; it lives in ``gateway.receive``."""

from __future__ import annotations

import argparse
import dataclasses

from gateway.receive.service import ReceiverSettings, run


def receive(args: argparse.Namespace) -> int:
    """Receive until told to stop."""
    fields = (field.name for field in dataclasses.fields(ReceiverSettings))
    return run(ReceiverSettings(**{name: getattr(args, name) for name in fields}), args.language)
