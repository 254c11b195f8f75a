"""The embedded engine: an OpenAI-compatible audio API of our own, for machines without a key."""
