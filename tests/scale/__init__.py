"""How the database does with millions of segments; `python -m tests.scale`."""
