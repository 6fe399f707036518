"""What a policy says of a caller's number: protected, relay, or not to be counted as one person."""

from __future__ import annotations

from callguard.model.policy import Policy

WITHHELD = frozenset({"", "anonymous", "unknown", "<unknown>", "private", "restricted", "unavailable", "withheld"})
"""Words that stand in for a number. Each is many people."""

LEAST_DIGITS = 6
"""Shorter is an extension or a service code, not a person's number."""


def digits_of(number: str) -> str:
    """The digits of a number as text from outside; a leading + or 00 is dropped."""
    digits = "".join(letter for letter in number if letter in "0123456789")
    return digits[2:] if digits.startswith("00") and "+" not in number else digits


def is_one_person(policy: Policy, number: str) -> bool:
    """False for withheld, rewritten (too short, all the same digit) and shared numbers."""
    digits = digits_of(number)
    if number.strip().lower() in WITHHELD or len(digits) < LEAST_DIGITS or len(set(digits)) == 1:
        return False
    return digits not in policy.repeat.shared_numbers


def is_protected(policy: Policy, number: str, queue: str) -> bool:
    """Whether no measure may be taken against this number, or on this queue."""
    return digits_of(number) in policy.exceptions.protected_numbers or queue in policy.exceptions.protected_queues


def is_relay(policy: Policy, number: str) -> bool:
    """Whether a relay service for deaf or speech-impaired people calls."""
    return digits_of(number) in policy.exceptions.relay_numbers
