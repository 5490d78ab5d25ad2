"""Durable store-and-forward of bytes: knows no readings, no devices, no recipients' dialects."""
