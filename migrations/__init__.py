"""The database's migrations (Alembic); run by `stenoflow db upgrade`."""

HEAD = "0012"
"""The revision that the program needs: the last in `versions/`, which a test holds it to."""
