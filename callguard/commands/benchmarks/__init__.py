"""What ``callguard bench`` runs."""
