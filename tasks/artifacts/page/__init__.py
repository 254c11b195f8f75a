"""`transcript.html`: a page to listen and read, whole in one file."""

from tasks.artifacts.page.page import render

__all__ = ["render"]
