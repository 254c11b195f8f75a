"""The database's migrations (Alembic); run by `stenoflow db upgrade`."""

from pathlib import Path

HEAD = max(path.name[:4] for path in Path(__file__).with_name("versions").glob("[0-9]*.py"))
"""The revision that the program needs: the last in `versions/`."""
