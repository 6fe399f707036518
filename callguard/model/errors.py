"""The one tree of errors.

CallguardError(code, retryable)
├── SettingsError        a file or an option is wrong; says where and what to try
├── OurFault             a bug of ours
├── PeerFault            the world outside misbehaved
│   ├── AmiFault
│   ├── AgiFault
│   ├── TapFault
│   ├── BusFault
│   └── StoreFault
├── RecognizerFault
└── Refused              asked for something that must not be done

``code`` is kebab-case and stable; ``words.py`` in ``observe/`` has it in English and Japanese, and a test walks
this tree and fails on a code without words. Error texts carry no personal data.
"""

from __future__ import annotations


class CallguardError(Exception):
    """Base of all errors this product raises on purpose.

    code: stable, kebab-case.
    retryable: doing the same again later may work.
    hint: what to try, one sentence, "" where nothing helps.
    """

    code = "callguard-error"
    retryable = False

    def __init__(self, text: str = "", *, code: str | None = None, hint: str = "") -> None:
        super().__init__(text or self.code)
        if code is not None:
            self.code = code
        self.hint = hint


class SettingsError(CallguardError):
    """A settings or policy file cannot be used.

    where: file, and line or key, e.g. ``policy.toml: ladder[2].announcement``.
    """

    code = "settings-wrong"

    def __init__(self, text: str, *, where: str = "", code: str | None = None, hint: str = "") -> None:
        super().__init__(f"{where}: {text}" if where else text, code=code, hint=hint)
        self.where = where


class OurFault(CallguardError):
    """A promise inside callguard was broken."""

    code = "our-fault"


class PeerFault(CallguardError):
    """Something outside failed us."""

    code = "peer-fault"
    retryable = True


class AmiFault(PeerFault):
    """The manager connection, or an action sent over it, failed."""

    code = "ami-fault"


class AgiFault(PeerFault):
    """An AGI exchange failed."""

    code = "agi-fault"


class TapFault(PeerFault):
    """A tap could not be made, or ended early."""

    code = "tap-fault"


class BusFault(PeerFault):
    """Redis or Valkey is away or answered nonsense."""

    code = "bus-fault"


class StoreFault(PeerFault):
    """The case store or the segment folder cannot be written or read."""

    code = "store-fault"


class RecognizerFault(CallguardError):
    """The speech model is missing or failed."""

    code = "recognizer-fault"
    retryable = True


class Refused(CallguardError):
    """Asked for something that must not be done: no right, not on the allow list, would leak to the caller."""

    code = "refused"
