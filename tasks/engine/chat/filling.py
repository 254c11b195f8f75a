"""Filling a JSON schema with sentences: lists by their names, and of each its line, owner and date."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from stenoflow.tasks.engine.api_errors import invalid
from stenoflow.tasks.engine.chat.cues import due_of, owner_of
from stenoflow.tasks.engine.chat.minutes import Minutes
from stenoflow.tasks.engine.chat.spoken import Sentence

Schema = dict[str, Any]

_DEEPEST = 12
_MOST_PLACES = 10_000
_ABSTRACT_SENTENCES = 2
_CITATIONS = frozenset(
    {"line", "lines", "at", "id", "ids", "source", "sources", "citation", "citations", "cite"}
)
_OWNERS = frozenset({"owner", "assignee", "who", "responsible", "person"})
_DATES = frozenset({"due", "when", "deadline", "due_date"})
_ALTERNATIVES = ("anyOf", "oneOf")
# What stands for nothing where there must be something.
_EMPTY: dict[str, Any] = {"string": "", "boolean": False, "null": None}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the answer something stands.

    Attributes:
        name: of the property.
        sentence: the one that an enclosing list holds there.
        depth: how many levels lie above.
    """

    name: str
    sentence: Sentence | None = None
    depth: int = 0

    def below(self, name: str, sentence: Sentence | None = None) -> _Place:
        return _Place(name, sentence or self.sentence, self.depth + 1)


class Filler:
    """Fills one schema.

    Args:
        root: the whole, in which references are looked up.
        minutes: what there is to fill it with.
    """

    def __init__(self, root: Schema, minutes: Minutes) -> None:
        self._root = root
        self._minutes = minutes
        self._places = 0

    def filled(self, name: str) -> Any:
        """Return the whole answer; ``name`` stands for the root, which has none.

        Raises:
            Problem: the schema holds itself without end.
        """
        return self._value(self._root, _Place(name))

    def _value(self, schema: Schema, place: _Place) -> Any:
        self._places += 1
        if place.depth > _DEEPEST or self._places > _MOST_PLACES:
            raise invalid("response_format", "The schema is too deep or too large, or holds itself")
        here = self._resolved(schema)
        if "const" in here or "enum" in here:
            return _only_choice(here)
        kind, nullable = _kind(here)
        match kind:
            case "alternatives":
                return self._alternative(here, place)
            case "object":
                properties = here.get("properties", {})
                return {key: self._value(each, place.below(key)) for key, each in properties.items()}
            case "array":
                return self._list(here, place)
        found = self._text(place) if kind == "string" else _number(kind, place)
        return found if found is not None or nullable else _EMPTY.get(kind, here.get("minimum", 0))

    def _alternative(self, schema: Schema, place: _Place) -> Any:
        listed = next(schema[key] for key in _ALTERNATIVES if key in schema)
        choices = [self._resolved(each) for each in listed]
        chosen = next((each for each in choices if _kind(each)[0] != "null"), {"type": "null"})
        if any(_kind(each)[0] == "null" for each in choices) and isinstance(chosen.get("type"), str):
            chosen = chosen | {"type": [chosen["type"], "null"]}
        return self._value(chosen, place.below(place.name))

    def _list(self, schema: Schema, place: _Place) -> list[Any]:
        if place.sentence is not None:
            given = [place.sentence] if place.name.lower() in _CITATIONS else []
        else:
            given = self._minutes.picked(place.name)[: schema.get("maxItems")]
        items = schema.get("items", {"type": "string"})
        return [self._value(items, place.below(place.name, each)) for each in given]

    def _text(self, place: _Place) -> str | None:
        name, sentence = place.name.lower(), place.sentence
        if sentence is None:
            chosen = self._minutes.picked(name)[:_ABSTRACT_SENTENCES]
            return " ".join(each.text for each in chosen) or None
        if name in _CITATIONS:
            return sentence.line
        if name in _OWNERS:
            return owner_of(sentence, self._minutes.names)
        if name in _DATES:
            return due_of(sentence)
        return sentence.speaker if name == "speaker" else sentence.text

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                return schema
            found: Any = self._root
            for key in schema["$ref"].removeprefix("#").strip("/").split("/"):
                found = found[key.replace("~1", "/").replace("~0", "~")] if key else found
            schema = found
        return {}


def _only_choice(schema: Schema) -> Any:
    """Return what must stand there; of several, nothing rather than a guess, where that may be."""
    if "const" in schema:
        return schema["const"]
    return None if None in schema["enum"] else schema["enum"][0]


def _number(kind: str, place: _Place) -> float | None:
    if kind in {"integer", "number"} and place.sentence is not None and place.name.lower() in _CITATIONS:
        with contextlib.suppress(ValueError):
            number = float(place.sentence.line)
            return int(number) if kind == "integer" or number.is_integer() else number
    return None


def _kind(schema: Schema) -> tuple[str, bool]:
    """Return the type that is filled, and whether null may stand in its place."""
    if any(key in schema for key in _ALTERNATIVES):
        return "alternatives", False
    named = schema.get("type", "object" if "properties" in schema else "string")
    listed = named if isinstance(named, list) else [named]
    return next((each for each in listed if each != "null"), "null"), len(listed) > 1 and "null" in listed
