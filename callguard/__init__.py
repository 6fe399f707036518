"""callguard: a call guard for call centres that run Asterisk."""
