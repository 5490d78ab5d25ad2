"""Decides, sounds, records, sends: the only room that knows the others."""
