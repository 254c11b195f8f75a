"""Where recordings come from: files, folders and S3."""

from stenoflow.tasks.sources.fetch import fetch, local_path, resolve
from stenoflow.tasks.sources.source import Fetched, Source

__all__ = ["Fetched", "Source", "fetch", "local_path", "resolve"]
