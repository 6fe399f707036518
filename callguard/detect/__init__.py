"""From words, loudness, overlap and time to findings (``scan``); says what made each one. Pure."""
