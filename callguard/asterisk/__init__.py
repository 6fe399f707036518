"""AMI, AGI answers, taps, playing, spying. Every outgoing string is cleaned here."""
