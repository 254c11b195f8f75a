"""Drop folders: what lies in them, what of it is complete, and what is to be done with it."""
