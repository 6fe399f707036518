"""What ``callguard policy`` does, one thing a file."""
