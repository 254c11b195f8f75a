"""`transcript.html`: a page to listen and read, whole in one file."""

from tasks.artifacts.page.page import render, write

__all__ = ["render", "write"]
