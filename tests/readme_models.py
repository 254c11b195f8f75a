"""Print the table of models for `tasks/README.md`: `python -m tests.readme_models`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal

from stenoflow.tasks.api.chat_models import load_chat_models
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.speech_models import load_speech_models
from stenoflow.tasks.billing.amounts import from_micro
from stenoflow.tasks.billing.prices import load_book
from stenoflow.tasks.operations.model_list import ModelRow, Tables, model_rows

_FOR = {
    ModelKind.TRANSCRIPTION: "transcription",
    ModelKind.CHAT: "minutes",
    ModelKind.SPEECH: "reading them aloud",
}


def table() -> str:
    """Return the table, a row a model, in the order of the table of models."""
    tables: Tables = {
        ModelKind.TRANSCRIPTION: load_models(),
        ModelKind.CHAT: load_chat_models(),
        ModelKind.SPEECH: load_speech_models(),
    }
    head = ["| for | model | can | an hour | until | then |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *_rows(list(model_rows(tables, load_book())))])


def _rows(rows: list[ModelRow]) -> Iterator[str]:
    for row in rows:
        place = f" at {row.provider}" if row.provider else ""
        then = f"`{row.successor}`" if row.successor else ""
        cells = [
            _FOR[row.kind] if row.kind else "",
            f"`{row.name}`{place}",
            ", ".join(row.abilities),
            _shown(row),
            str(row.last_day or ""),
            then,
        ]
        yield f"| {' | '.join(cells)} |"


def _shown(row: ModelRow) -> str:
    if row.hour_micro is None:
        return "unknown"
    return f"{from_micro(row.hour_micro).quantize(Decimal('0.0001'))} {row.currency}"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
