"""Killing the program at every side effect, and counting what that cost."""
