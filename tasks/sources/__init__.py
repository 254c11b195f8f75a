"""Where recordings come from: files, folders and S3."""

from tasks.sources.recordings import fetch, local_path, resolve
from tasks.sources.source import Fetched, Source

__all__ = ["Fetched", "Source", "fetch", "local_path", "resolve"]
