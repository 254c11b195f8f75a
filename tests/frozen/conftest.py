"""Prefect's home is that of the other tests that run the whole program."""

from __future__ import annotations

from tests.flows.conftest import prefect_home

__all__ = ["prefect_home"]
