"""The database's migrations (Alembic); run by `stenoflow db upgrade`."""
