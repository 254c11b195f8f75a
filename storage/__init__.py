"""Where things are kept: the database (state and money) and the object store (artifacts)."""
