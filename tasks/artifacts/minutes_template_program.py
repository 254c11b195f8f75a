"""The program that renders minutes by a template of Jinja, in a process whose time and memory are bounded.

The request comes in on stdin as JSON: the ``template`` and the ``documents``. The answer goes out on stdout:
the ``texts``, or an ``error`` for people.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from stenoflow.tasks.artifacts.minutes import MinutesDocument
from stenoflow.tasks.artifacts.minutes_template import by_jinja
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.transcript.minutes import Minutes, Point


def main() -> None:
    """Answer one request."""
    request: dict[str, Any] = json.load(sys.stdin)
    try:
        texts = [by_jinja(_document(each), request["template"]) for each in request["documents"]]
    except SettingsError as error:
        answer: dict[str, Any] = {"error": error.message}
    else:
        answer = {"texts": texts}
    json.dump(answer, sys.stdout)


def _document(said: dict[str, Any]) -> MinutesDocument:
    minutes = {
        name: tuple(Point(**point) for point in points) for name, points in said.pop("minutes").items()
    }
    return MinutesDocument(Minutes(**minutes), remarks=tuple(said.pop("remarks")), **said)


if __name__ == "__main__":
    main()
