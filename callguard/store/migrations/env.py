"""How alembic runs a step: within the transaction the store has begun."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="callguard_version")
with context.begin_transaction():
    context.run_migrations()
