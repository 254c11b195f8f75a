"""Where recordings come from: files, folders and S3."""

from tasks.sources.recordings import fetch, resolve
from tasks.sources.source import Fetched, Source

__all__ = ["Fetched", "Source", "fetch", "resolve"]
