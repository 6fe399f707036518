"""Cases, segments, audit trail, retention, migrations: SQLite by default, PostgreSQL by URL."""
