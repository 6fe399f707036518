"""A private Asterisk and a private outside world, for the demo, for practice, for tests. Touches no system PBX."""
