"""Tables of the desk: accounts, sign-ins, tokens, webhooks, and what people wrote into cases.

``desk_entries`` is append-only and is the truth; ``desk_state`` is what it adds up to, one row a case, so that lists
and reports are quick. Both go with their case; a measure against a caller outlives it until its own end.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from callguard.store.tables import UtcTime, cases

metadata = MetaData()


users = Table(
    "desk_users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("display", String(120), nullable=False),
    Column("password", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("queues", JSON(none_as_null=True)),
    Column("teams", JSON(none_as_null=True)),
    Column("agent", String(120), nullable=False),
    Column("phone", String(120), nullable=False),
    Column("language", String(8), nullable=False),
    Column("theme", String(8), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("password_at", UtcTime, nullable=False),
)

sessions = Table(
    "desk_sessions",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("user", String(64), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("host", String(64), nullable=False),
    Column("browser", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

attempts = Table(
    "desk_attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("name", String(64), nullable=False, index=True),
    Column("host", String(64), nullable=False, index=True),
)

tokens = Table(
    "desk_tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("secret", String(64), nullable=False, unique=True),  # SHA-256 of the token
    Column("user", String(64), nullable=False, index=True),
    Column("verbs", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("used_at", UtcTime),
    Column("revoked_at", UtcTime),
)

webhooks = Table(
    "desk_webhooks",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("queues", JSON(none_as_null=True)),
    Column("created_by", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled", Boolean, nullable=False),
)

deliveries = Table(
    "desk_deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("webhook", String(16), nullable=False, index=True),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, index=True),  # None: nothing more to do
    Column("tries", Integer, nullable=False),
    Column("done_at", UtcTime),
    Column("last", String(120), nullable=False),
)

entries = Table(
    "desk_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", String(16), ForeignKey(cases.c.id, ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Index("desk_entries_case", "case", "id"),
    Index("desk_entries_kind", "kind", "at"),
)

state = Table(
    "desk_state",
    metadata,
    Column("case", String(16), ForeignKey(cases.c.id, ondelete="CASCADE"), primary_key=True),
    Column("decision", String(16), nullable=False, default=""),
    Column("justified", String(16), nullable=False, default=""),
    Column("acceptable", String(16), nullable=False, default=""),
    Column("category", String(32), nullable=False, default=""),
    Column("severity", Integer, nullable=False, default=0),
    Column("decided_at", UtcTime, index=True),
    Column("decided_by", String(64), nullable=False, default=""),
    Column("second_asked", String(64), nullable=False, default="", index=True),
    Column("second_decision", String(16), nullable=False, default=""),
    Column("care", String(16), nullable=False, default="", index=True),
    Column("care_due", UtcTime),
    Column("training", Boolean, nullable=False, default=False),
    Column("told_at", UtcTime),
)

measures = Table(
    "desk_measures",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("caller", String(128), nullable=False, index=True),
    Column("case", String(32), nullable=False, index=True),
    Column("what", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(64), nullable=False),
    Column("from_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("review_at", UtcTime, nullable=False),
    Column("lifted_at", UtcTime),
    Column("lifted_by", String(64), nullable=False),
)

trainings = Table(
    "desk_trainings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("held_on", UtcTime, nullable=False),
    Column("title", Text, nullable=False),
    Column("people", Integer, nullable=False),
    Column("by", String(64), nullable=False),
    Column("noted_at", UtcTime, nullable=False),
)


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: on SQLite they take the write lock at once (``connection.py``)."""
    return engine.execution_options(callguard_writes=True)
