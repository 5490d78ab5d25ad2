"""One alarm, its limits and its life, pure."""
