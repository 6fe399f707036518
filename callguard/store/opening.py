"""Open the store of an address: the database with its tables, the segment folder, the keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from callguard.store.connection import Database, told_os
from callguard.store.store import Store, utc_now
from callguard.store.tables import POSTGRES_EXTRAS, SQLITE_EXTRAS, metadata


def open_store(
    url: str,
    *,
    segments: Path,
    key_file: Path | None = None,
    keys: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Store:
    """The store behind this address, its tables made where they are missing.

    url: as SQLAlchemy spells it. segments: folder of the kept sound. key_file: encrypts sound at rest.
    keys: folder of the store's own secrets, beside the segment folder unless named.

    Raises SettingsError where the address or a key is wrong, StoreFault where the store is away.
    """
    with told_os():
        segments.mkdir(parents=True, exist_ok=True, mode=0o750)
    database = Database(url)
    _prepare(database)
    return Store(database, segments=segments, keys=keys or segments.parent / "keys", clock=clock)


def _prepare(database: Database) -> None:
    with database.writing() as connection:
        if sa.inspect(connection).has_table("cases"):
            return
        metadata.create_all(connection)
        for statement in SQLITE_EXTRAS if database.sqlite else POSTGRES_EXTRAS:
            connection.exec_driver_sql(statement)
