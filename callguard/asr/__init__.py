"""Recognizers behind one Protocol: faster-whisper in its own process, pooled over the bus, scripted for tests."""
