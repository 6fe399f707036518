"""From AMI events to who is talking to whom. Pure: one transition table, one verb, ``apply``."""
