"""Log keys (with ``pii.`` marks), metric names, health reports, and the words for every code."""
