"""The history of the tables, one file a step in ``versions/``. A step that was released is never changed."""

HEAD = "0002"
"""The step the code of today wants; a test holds it to be the last file's."""
