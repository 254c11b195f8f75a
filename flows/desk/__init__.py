"""The desk: pages on which people find, read, correct and send in recordings."""

from __future__ import annotations

from pathlib import Path

ADDRESS_FILE = "dashboard.url"
"""In our own home, while `stenoflow serve` runs: where its server answers, and in a second line the
``user:password`` that it asks for."""


def desk_address(home: Path) -> str | None:
    """Return where the desk of a home is served; None while it is not."""
    try:
        api_url, _ = (home / ADDRESS_FILE).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return api_url.removesuffix("/api")
