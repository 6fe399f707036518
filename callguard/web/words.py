"""Codes and kinds as sentences that people read. English here, Japanese in ``japanese.py``."""

from __future__ import annotations

from callguard.web.language import words_in

KINDS = {
    "verbal_abuse": "verbal abuse",
    "threat": "threat",
    "sns_threat": "threat to publish",
    "excessive_demand": "excessive demand",
    "authority": "demand for the boss or kneeling",
    "sexual": "sexual harassment",
    "discrimination": "discrimination",
    "privacy": "intrusion into private life",
    "restraint": "holding on the line",
    "repetition": "repeated calls",
    "life_at_risk": "life at risk",
    "accommodation": "accommodation needed",
}

STATES = {
    "new": "new",
    "in-review": "in review",
    "confirmed": "confirmed",
    "dismissed": "dismissed",
    "closed": "closed",
}

ROLES = {
    "agent": "agent",
    "supervisor": "supervisor",
    "reviewer": "reviewer",
    "care": "care",
    "data-protection": "data protection",
    "admin": "administrator",
}

OTHERS = {
    "policy": "policy",
    "yes": "yes",
    "no": "no",
    "partly": "partly",
    "unclear": "unclear",
    "en": "English",
    "ja": "Japanese",
    "caller": "Caller",
    "system": "Announcement",
    "announcements": "Announcement",
    "mix": "All, in stereo",
    "done": "heard to the end",
    "cut-short": "cut short",
    "not-confirmed": "not confirmed",
    "failed": "failed",
    "too-late": "too late",
    "listen": "listened in",
    "whisper": "whispered",
    "barge": "came in",
    "route": "other route for this caller",
    "written": "answers in writing only",
    "block": "calls are not answered",
    "watch": "a supervisor is told at once",
    "asked": "asked",
    "began": "began",
    "ended": "ended",
    "refused": "refused",
    "flag": "flag",
    "unflag": "take the flag back",
    "warn": "next warning",
    "handover": "hand over",
    "help": "help",
    "end": "end the call",
    "why": "why was it refused",
    "PlayWarning": "warning",
    "RaiseFlag": "flag raised",
    "WithdrawFlag": "flag taken back",
    "AskApproval": "approval asked",
    "NotifySupervisor": "supervisor told",
    "CallHuman": "a human called",
    "Transfer": "hand-over",
    "OfferBarge": "supervisor asked to come in",
    "EndCall": "end of the call",
    "RestAgent": "rest for the agent",
    "open": "to do",
    "finished": "finished",
}

SAID = {
    "no-right": "You have no right to do that.",
    "out-of-scope": "That belongs to another queue or team.",
    "not-oneself": "Somebody else must do that: not the same person twice, and nobody judges their own call.",
    "form-forged": "This form was too old, or not from this site. Load the page again.",
    "sign-in-wrong": "Name or password is wrong.",
    "sign-in-unknown": "Your company account is not known here. Ask an administrator.",
    "sign-in-stale": "That sign-in did not hold, or took too long. Begin again.",
    "provider-away": "The identity provider does not answer. Sign in with a password, or try later.",
    "sign-in-locked": "Too many wrong sign-ins. Wait a quarter of an hour.",
    "password-weak": "A password has at least 12 characters and is not a common word.",
    "password-differs": "The two new passwords are not the same.",
    "password-changed": "The password is changed. All other sign-ins have ended.",
    "name-wrong": "A user name is letters, digits, dot, dash, underscore or @.",
    "name-taken": "There is an account of this name.",
    "no-account": "There is no such account.",
    "no-phone": "No telephone is set in your account. Set it under your name.",
    "saved": "Saved.",
    "no-such-case": "There is no such case.",
    "no-such-sound": "There is no such sound.",
    "not-found": "There is no such page.",
    "input-wrong": "Something in the form is missing or wrong.",
    "our-fault": "Something went wrong here. It is in the log.",
    "order-unknown": "There is no such order.",
    "order-unanswered": "The order was sent, but no answer came. Look at the call.",
    "request-over": "This request is no longer open.",
    "bus-away": "The bus is away. Nothing was done.",
    "bus-fault": "The bus is away. Nothing was done.",
    "bus-refused": "The bus refused. Nothing was done.",
    "store-fault": "The case store failed. Nothing was saved.",
    "store-full": "The disk of the case store is full. Nothing was saved.",
    "store-locked": "The case store is busy. Try again.",
    "store-unreachable": "The case store cannot be reached.",
    "call-over": "The call is over.",
    "not-in-call": "The agent is not in a call.",
    "ringing": "It is still ringing.",
    "on-hold": "The caller is on hold.",
    "in-consultation": "The agent is talking to a colleague.",
    "too-old": "That came too late and was not done.",
    "repeated": "That was done already.",
    "warning-running": "A warning is playing just now.",
    "cooling-down": "The last warning is too recent.",
    "no-rung-left": "All warnings have been given.",
    "needs-approval": "Somebody must approve first.",
    "nothing-to-withdraw": "There is nothing to take back.",
    "policy-forbids": "The policy does not allow that here.",
    "care-first": "Care first: no measures on this call.",
    "not-the-agent": "That is for the agent of the call.",
    "no-destination": "The policy names no place to hand over to.",
    "failed": "It was tried and failed.",
    "not-confirmed": "It was tried; whether it worked could not be seen.",
    "too-late": "It came too late and was not done.",
    "cut-short": "It was cut short.",
    "done-listen": "Your telephone rings; you will listen in.",
    "done-whisper": "Your telephone rings; only the agent will hear you.",
    "done-barge": "Your telephone rings; both will hear you.",
    "done-take-over": "The call comes to your telephone.",
    "done-flag": "Flagged. The evidence is being kept.",
    "done-warn": "The warning is being played.",
    "done-handover": "The caller is being handed over.",
    "done-end": "The closing message is being played.",
    "done-approve": "Approved.",
    "done-refuse": "Not approved.",
    "done-rest-back": "The agent is back in the queue.",
    "harassment-but-fair": "A justified demand in an acceptable manner is a proper complaint: it cannot be confirmed.",
    "undo-too-late": "Ten seconds are over. A verdict stays; give a new one if you were wrong.",
    "no-verdict": "There is no verdict to take back.",
    "verdict-first": "A second opinion needs a first verdict.",
    "hold-needs-two": "Two people release a hold: you have asked, another must agree.",
    "not-held": "This case is not held.",
    "expiry-first": "A measure ends on a day in the future, and is reviewed before that.",
    "verdict-needed": "A measure against a caller needs a confirmed case.",
    "number-unknown": "This number is not one person's: no measure can be tied to it.",
    "token-wrong": "This token opens nothing.",
    "sign-in-first": "Sign in first.",
    "pdf-missing": "PDF needs the extra “pdf” of this installation.",
    "desk-address-taken": "The desk cannot listen at its address.",
    "url-wrong": "The address of a webhook begins with https:// (http:// only for this machine).",
}


def word(name: str, language: str) -> str:
    """A single word of ours in this language; what is unknown stays as it is."""
    for table in (STATES, ROLES, KINDS, OTHERS):
        if name in table:
            return words_in(language)(table[name])
    return name


def kind_words(kind: str, language: str) -> str:
    """A working kind in words."""
    return words_in(language)(KINDS.get(kind, kind))


def refusal_words(code: str, language: str) -> str:
    """What to tell somebody whose wish came to nothing (or was done)."""
    return words_in(language)(SAID.get(code, code or SAID["our-fault"]))
