"""Codecs, resampling, the per-leg ring buffer, webrtcvad, sound files."""
