"""Listening to the sound ourselves: where somebody speaks, and when each word is said."""
