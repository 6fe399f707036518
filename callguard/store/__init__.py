"""Cases, segments, audit trail, retention, migrations: SQLite by default, PostgreSQL by URL."""

from callguard.store.opening import open_store
from callguard.store.reading import CaseFilter, CaseLine, CasePage, CaseView, Hit, StoredRecord
from callguard.store.store import Store
from callguard.store.trail import AuditLine

__all__ = [
    "AuditLine",
    "CaseFilter",
    "CaseLine",
    "CasePage",
    "CaseView",
    "Hit",
    "Store",
    "StoredRecord",
    "open_store",
]
