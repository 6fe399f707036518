"""The database behind an SQLAlchemy address: durable transactions, and errors as our own.

SQLite: write-ahead log, every commit synced. A write transaction takes the write lock at once, so that two
processes (daemon, desk, command line) queue up instead of failing half-way.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from callguard.model.errors import SettingsError, StoreFault

BUSY_MS = 15_000
_FULL = "free some space; what was flagged meanwhile is written as soon as there is room"


class Database:
    """One database, used from any thread."""

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
            self.sqlite = self._url.get_backend_name() == "sqlite"
            self._prepare_file()
            self.engine = sa.create_engine(self._url, pool_pre_ping=not self.sqlite, hide_parameters=True)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise SettingsError(
                f"not a database address: {type(error).__name__}",
                where="store.url",
                code="store-url-wrong",
                hint="sqlite:////var/lib/callguard/callguard.db or postgresql+psycopg://user@host/name",
            ) from None
        if self.sqlite:
            sa.event.listen(self.engine, "connect", _sqlite_connected)
            sa.event.listen(self.engine, "begin", _sqlite_begun)

    @property
    def file(self) -> Path | None:
        """The SQLite file, None elsewhere."""
        return Path(self._url.database) if self.sqlite and self._url.database else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view. Raises StoreFault."""
        with _told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction; durable when the block has ended without an error. Raises StoreFault."""
        with _told(), self.engine.connect() as plain:
            connection = plain.execution_options(callguard_writes=True)
            with connection.begin():
                yield connection

    def forget_deleted(self) -> None:
        """Leave no bytes of deleted rows: in the search index, in the log of writes. PostgreSQL's vacuum does it."""
        if not self.sqlite:
            return
        with self.writing() as connection:
            connection.exec_driver_sql("INSERT INTO spoken_index(spoken_index) VALUES ('optimize')")
        with _told(), self.engine.connect() as plain:
            raw = plain.connection.dbapi_connection
            assert raw is not None
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def _prepare_file(self) -> None:
        if not self.sqlite:
            return
        if self.file is None or str(self.file) == ":memory:":
            raise SettingsError(
                "a store in memory keeps nothing", where="store.url", code="store-url-wrong", hint="name a file"
            )
        with told_os():
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            if not self.file.exists():
                self.file.touch(mode=0o600)


def _sqlite_connected(raw: Any, record: object) -> None:
    raw.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "cache_size = -16000",
    ):
        raw.execute(f"PRAGMA {pragma}").close()


def _sqlite_begun(connection: Connection) -> None:
    writes = connection.get_execution_options().get("callguard_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _fault(error) from error


def _fault(error: sa.exc.DBAPIError) -> StoreFault:
    text = str(error.orig).lower()
    if "disk is full" in text or "disk i/o error" in text or "no space left" in text:
        return StoreFault("the disk of the case store is full or failing", code="store-full", hint=_FULL)
    if "locked" in text or "lock timeout" in text:
        return StoreFault("the case store is locked by another process", code="store-locked")
    if isinstance(error, sa.exc.OperationalError) or error.connection_invalidated:
        return StoreFault("the case store cannot be reached", code="store-unreachable")
    return StoreFault(f"the case store refused: {type(error.orig).__name__}", code="store-fault")


@contextmanager
def told_os() -> Iterator[None]:
    """Turn errors of files into StoreFault."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFault("the disk of the segment folder is full", code="store-full", hint=_FULL) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreFault(
                "the segment folder cannot be written", code="store-not-writable", hint="check its owner and mode"
            ) from error
        raise StoreFault(f"the segment folder failed: {error.strerror}", code="store-fault") from error
