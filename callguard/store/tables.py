"""Which tables exist. History is in ``migrations/``; the desk's own tables are in ``desk_tables.py``.

Rule: ``records`` and ``audit`` only grow; triggers made by the first migration refuse anything else, and its index
``spoken_index`` (SQLite) or ``ix_spoken_pairs`` (PostgreSQL) serves the search. Wall times are aware UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in and out, on every database. A naive time is an error."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a wall time without a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts by itself only in a column of exactly INTEGER."""

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("call", sa.String(150), nullable=False, unique=True),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("call_started_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("ended_ms", sa.BigInteger),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("caller_number", sa.Text, nullable=False),
    sa.Column("caller_name", sa.Text, nullable=False),
    sa.Column("caller_mark", sa.String(64), nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("policy_name", sa.Text, nullable=False),
    sa.Column("policy_hash", sa.String(64), nullable=False),
    sa.Column("flag_reason", sa.Text, nullable=False),
    sa.Column("flagged_by", sa.String(12), nullable=False),
    sa.Column("flagged_ms", sa.BigInteger, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False, default=False),
    sa.Column("severity", sa.Integer, nullable=False, default=0),
    sa.Column("rung", sa.Integer, nullable=False, default=0),
    sa.Column("warnings", sa.Integer, nullable=False, default=0),
    sa.Column("record_count", sa.Integer, nullable=False, default=0),
    sa.Column("record_hash", sa.String(64), nullable=False, default=""),
    sa.Column("kept_until", UtcTime),
    sa.Column("held", sa.Boolean, nullable=False, default=False),
    sa.Column("assigned", sa.Text, nullable=False, default=""),
)
"""caller_mark: keyed hash of the number. record_hash: last link of the case's own chain of records."""

sa.Index("ix_cases_opened_at", cases.c.opened_at, cases.c.id)
sa.Index("ix_cases_status_opened_at", cases.c.status, cases.c.opened_at, cases.c.id)
sa.Index("ix_cases_queue_opened_at", cases.c.queue, cases.c.opened_at, cases.c.id)
sa.Index("ix_cases_agent_opened_at", cases.c.agent, cases.c.opened_at, cases.c.id)
sa.Index("ix_cases_caller_mark_opened_at", cases.c.caller_mark, cases.c.opened_at, cases.c.id)
sa.Index("ix_cases_assigned_opened_at", cases.c.assigned, cases.c.opened_at, cases.c.id)

case_kinds = sa.Table(
    "case_kinds",
    metadata,
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(24), primary_key=True),
)
sa.Index("ix_case_kinds_kind_case_id", case_kinds.c.kind, case_kinds.c.case_id)

records = sa.Table(
    "records",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("written_at", UtcTime, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("case_id", "number"),
)
"""number counts from 1 within the case; hash is linked to the record before it."""

spoken = sa.Table(
    "spoken",
    metadata,
    sa.Column("record_id", BigId, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("pairs", sa.Text().with_variant(postgresql.ARRAY(sa.Text), "postgresql"), nullable=False),
)
"""Words of transcripts as the search wants them (``search.py``): folded text, and its pairs of letters."""

sa.Index("ix_spoken_case_id", spoken.c.case_id)

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    sa.Column("track", sa.String(16), nullable=False),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("kept_until", UtcTime),
    sa.Column("repaired", sa.Boolean, nullable=False, default=False),
    sa.Column("written_at", UtcTime, nullable=False),
)
sa.Index("ix_segments_case_id", segments.c.case_id)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", BigId, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("verb", sa.String(64), nullable=False),
    sa.Column("thing", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
"""Who did what to which thing; numbered without gaps from 1, each line linked to the one before it."""

sa.Index("ix_audit_thing_number", audit.c.thing, audit.c.number)

calls_noted = sa.Table(
    "calls_noted",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("caller_mark", sa.String(64), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("rung", sa.Integer, nullable=False),
    sa.Column("call", sa.String(150), unique=True),
)
"""Counters of callers by keyed hash: the number itself is not here."""

sa.Index("ix_calls_noted_caller_mark_at", calls_noted.c.caller_mark, calls_noted.c.at)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.String(16), sa.ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("placed_by", sa.Text, nullable=False),
    sa.Column("placed_at", UtcTime, nullable=False),
    sa.Column("asked_by", sa.Text),
    sa.Column("asked_at", UtcTime),
    sa.Column("released_by", sa.Text),
    sa.Column("released_at", UtcTime),
)
"""A hold is released by two people: one asks, another agrees."""

sa.Index("ix_holds_case_id", holds.c.case_id)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first_at", UtcTime, nullable=False),
)
"""The text of every policy that ever decided, for bundles."""
