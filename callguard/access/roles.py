"""Roles of people at the desk, the verbs they are asked about, and which role has which.

A policy names roles for the six verbs it cares about (listen, whisper, barge, decide, export, hold); there its word
replaces ours. Everything else is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from callguard.model.policy import Rights


class Role(StrEnum):
    """What somebody is at the desk. One person may be several."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    REVIEWER = "reviewer"
    CARE = "care"
    DATA_PROTECTION = "data-protection"
    ADMIN = "admin"


class Verb(StrEnum):
    """What can be asked. The word is stable: tokens and audit lines carry it."""

    SEE_BOARD = "see-board"
    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"
    TAKE_OVER = "take-over"
    APPROVE = "approve"
    FLAG = "flag"
    WARN = "warn"
    HANDOVER = "handover"
    END = "end"
    REST_BACK = "rest-back"
    SEE_CASES = "see-cases"
    PLAY = "play"
    SEE_CALLER = "see-caller"
    DECIDE = "decide"
    SECOND = "second-opinion"
    ASSIGN = "assign"
    NOTE = "note"
    EXPORT = "export"
    HOLD = "hold"
    RELEASE = "release"
    MEASURE = "measure"
    CARE = "care"
    REPORTS = "reports"
    PROOF = "proof"
    SEE_AUDIT = "see-audit"
    ACCOUNTS = "accounts"
    TOKENS = "tokens"
    WEBHOOKS = "webhooks"


_ON_THE_CALL = frozenset({
    Verb.SEE_BOARD, Verb.LISTEN, Verb.WHISPER, Verb.BARGE, Verb.TAKE_OVER, Verb.APPROVE, Verb.FLAG, Verb.WARN,
    Verb.HANDOVER, Verb.END, Verb.REST_BACK,
})  # fmt: skip

DEFAULT_RIGHTS: Mapping[Role, frozenset[Verb]] = {
    Role.AGENT: frozenset({Verb.SEE_CASES, Verb.PLAY, Verb.NOTE}),
    Role.SUPERVISOR: _ON_THE_CALL
    | {Verb.SEE_CASES, Verb.PLAY, Verb.SEE_CALLER, Verb.NOTE, Verb.ASSIGN, Verb.CARE, Verb.REPORTS, Verb.PROOF},
    Role.REVIEWER: frozenset({
        Verb.SEE_CASES, Verb.PLAY, Verb.SEE_CALLER, Verb.DECIDE, Verb.SECOND, Verb.ASSIGN, Verb.NOTE, Verb.EXPORT,
        Verb.HOLD, Verb.RELEASE, Verb.MEASURE, Verb.REPORTS, Verb.PROOF,
    }),
    Role.CARE: frozenset({Verb.SEE_CASES, Verb.NOTE, Verb.CARE, Verb.REPORTS}),
    Role.DATA_PROTECTION: frozenset({
        Verb.SEE_CASES, Verb.PLAY, Verb.SEE_CALLER, Verb.NOTE, Verb.EXPORT, Verb.HOLD, Verb.RELEASE, Verb.MEASURE,
        Verb.REPORTS, Verb.PROOF, Verb.SEE_AUDIT,
    }),
    Role.ADMIN: frozenset({
        Verb.SEE_BOARD, Verb.REPORTS, Verb.PROOF, Verb.SEE_AUDIT, Verb.ACCOUNTS, Verb.TOKENS, Verb.WEBHOOKS,
    }),
}  # fmt: skip
"""An admin keeps the desk running and hears nobody: sound and cases need another role beside it."""

ONLY_OWN = frozenset({Role.AGENT})
"""Roles whose rights reach only what concerns the person themselves."""


def rights_under(policy: Rights | None) -> Mapping[Role, frozenset[Verb]]:
    """Roles to verbs where a policy says who may listen, whisper, barge, decide, export and hold.

    Names in the policy that are no role of the desk are let pass: they may be people. Data protection keeps its
    rights whatever a policy says: a caller's demand for a copy does not depend on it.
    """
    if policy is None:
        return DEFAULT_RIGHTS
    named: dict[Verb, tuple[str, ...]] = {
        Verb.LISTEN: policy.listen,
        Verb.WHISPER: policy.whisper,
        Verb.BARGE: policy.barge,
        Verb.TAKE_OVER: policy.barge,
        Verb.DECIDE: policy.decide,
        Verb.SECOND: policy.decide,
        Verb.EXPORT: policy.export,
        Verb.HOLD: policy.hold,
        Verb.RELEASE: policy.hold,
    }
    return {
        role: verbs
        if role is Role.DATA_PROTECTION
        else (verbs - named.keys()) | {verb for verb, roles in named.items() if role in roles}
        for role, verbs in DEFAULT_RIGHTS.items()
    }
