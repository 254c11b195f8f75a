"""What `stenoflow show` prints of a job of any kind: its facts, a line each, and its artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flows.cli.console import results


def print_facts(document: dict[str, Any], names: Iterable[str]) -> None:
    """Print the facts of these names, and the error where there is one."""
    for name in names:
        print_fact(name, str(document[name] if document[name] is not None else "-"))
    if document["error"]:
        print_fact("error", document["error"]["message"])


def print_fact(name: str, text: str) -> None:
    """Print one fact; the text may hold anything."""
    results.print(f"[dim]{name:14}[/]", end="")
    results.print(text, markup=False)


def print_artifacts(document: dict[str, Any]) -> None:
    """Print the artifacts with their addresses."""
    for name, artifact in document["artifacts"].items():
        results.print(f"{name:16} {artifact['uri']}", markup=False)
