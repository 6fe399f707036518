"""Tables of the desk: accounts, sign-ins, tokens, webhooks, and what people wrote into cases.

``desk_entries`` is append-only and is the truth; ``desk_state`` is what it adds up to, one row a case, so that lists
and reports are quick.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from callguard.model.errors import StoreFault

metadata = MetaData()


class Utc(TypeDecorator[Any]):
    """Aware UTC in Python; SQLite, which knows no zones, gets it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        from datetime import UTC

        if value is None:
            return None
        aware = value.astimezone(UTC)
        return aware.replace(tzinfo=None) if dialect.name == "sqlite" else aware

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        from datetime import UTC

        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
    Column("created_at", Utc, nullable=False),
    Column("password_at", Utc, nullable=False),
)

sessions = Table(
    "desk_sessions",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("user", String(64), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("host", String(64), nullable=False),
    Column("browser", String(200), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("revoked_at", Utc),
)

attempts = Table(
    "desk_attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Utc, nullable=False, index=True),
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
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("used_at", Utc),
    Column("revoked_at", Utc),
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
    Column("created_at", Utc, nullable=False),
    Column("disabled", Boolean, nullable=False),
)

deliveries = Table(
    "desk_deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("webhook", String(16), nullable=False, index=True),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("next_at", Utc, index=True),  # None: nothing more to do
    Column("tries", Integer, nullable=False),
    Column("done_at", Utc),
    Column("last", String(120), nullable=False),
)

entries = Table(
    "desk_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", String(32), nullable=False),
    Column("at", Utc, nullable=False),
    Column("by", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Index("desk_entries_case", "case", "id"),
    Index("desk_entries_kind", "kind", "at"),
)

state = Table(
    "desk_state",
    metadata,
    Column("case", String(32), primary_key=True),
    Column("assignee", String(64), nullable=False, index=True),
    Column("second_asked", String(64), nullable=False),
    Column("decision", String(16), nullable=False, index=True),
    Column("justified", String(16), nullable=False),
    Column("acceptable", String(16), nullable=False),
    Column("category", String(32), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("decided_at", Utc, index=True),
    Column("decided_by", String(64), nullable=False),
    Column("opinions", Integer, nullable=False),
    Column("differ", Boolean, nullable=False),
    Column("care", String(16), nullable=False, index=True),
    Column("care_due", Utc),
    Column("training", Boolean, nullable=False),
    Column("told_at", Utc),
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
    Column("from_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("review_at", Utc, nullable=False),
    Column("lifted_at", Utc),
    Column("lifted_by", String(64), nullable=False),
)

trainings = Table(
    "desk_trainings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("held_on", Utc, nullable=False),
    Column("title", Text, nullable=False),
    Column("people", Integer, nullable=False),
    Column("by", String(64), nullable=False),
    Column("noted_at", Utc, nullable=False),
)

peaks = Table(
    "desk_peaks",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("loud", LargeBinary, nullable=False),
)


def prepare(engine: Engine) -> None:
    """Make the desk's tables where they are missing. Raises StoreFault."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        metadata.create_all(engine)
    except SQLAlchemyError as error:
        raise StoreFault("the desk's tables cannot be made", hint="check store.url and its rights") from error
