"""Shells that drivers share: timers, serial lines, connections. Decides no value."""
