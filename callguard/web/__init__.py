"""The desk, the live board, the JSON API."""
