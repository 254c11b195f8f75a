"""The desk: pages on which people find, read, correct and send in recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stenoflow.tasks.settings import Settings

ADDRESS_FILE = "dashboard.url"
"""In our own home, while `stenoflow serve` runs: where its server answers, and in a second line the
``user:password`` that it asks for."""

DESK_FILE = "desk.url"
"""Beside it: where the desk is, also where another server of Prefect's is used."""


def desk_address(settings: Settings) -> str | None:
    """Return where people reach the desk: as is set, or where it is served from this home; None: nowhere."""
    if settings.desk_url is not None:
        return settings.desk_url
    try:
        return (settings.home / DESK_FILE).read_text("utf-8").strip() or None
    except (OSError, ValueError):
        return None


def job_address(settings: Settings, job_id: str) -> str | None:
    """Return where people see a job; None while no desk is served."""
    desk = desk_address(settings)
    return None if desk is None else f"{desk}/desk/jobs/{job_id}/"


def why(settings: Settings, job_id: str | None, reason: str | None) -> str:
    """Return why a job failed, for Prefect's pages: the reason, and where people see it."""
    link = None if job_id is None else job_address(settings, job_id)
    return " - ".join(part for part in (reason or "it failed", link) if part)
