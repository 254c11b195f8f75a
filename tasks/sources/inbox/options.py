"""Options of single recordings: a ``NAME.json`` beside one, and a folder's ``stenoflow.toml``.

The nearer counts: what the command says, then ``[recordings]`` in the ``stenoflow.toml`` of the inbox and of
each folder down to the recording's, then the file beside it. Whoever may drop a recording may write these
files, so they raise no budget, and what can cost more or is booked elsewhere only as the inbox allows it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stenoflow.storage.database.cache_keys import AlignMode
from stenoflow.storage.errors import StenoflowError
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.billing.amounts import LARGEST
from stenoflow.tasks.errors import RefusedError, SettingsError, reason
from stenoflow.tasks.sources.attendees import clean_names
from stenoflow.tasks.sources.file_names import is_plain, shown
from stenoflow.tasks.sources.glossary import MOST_BYTES, listed_terms, parse_glossary
from stenoflow.tasks.sources.inbox.entry import Read, beside
from stenoflow.tasks.transcript.planning import UNTIMED_SEGMENT_S

FOLDER_FILE = "stenoflow.toml"
_TABLE = "recordings"
_MOST_BYTES = 64 * 1024
_MOST_DOTS = 100
_STRING = re.compile(r""" "[^"\n]*" | '[^'\n]*' """, re.VERBOSE)
LANGUAGES = {"language", "languages"}
"""Options of which either is said; the nearer one counts."""
Allowable = Literal[
    "model", "tag", "priority", "translate", "digest", "speakers", "segment_seconds", "providers"
]
"""Options that cost more, hold others up, or are booked under another cap: an inbox must allow them."""
ALLOWABLE: tuple[Allowable, ...] = get_args(Allowable)
MOST_SPEAKERS = 50
"""Who can be told apart in one recording."""
LONGEST_TAG = 200
"""Characters; a database's index takes no key of any length."""
_LONGEST_TEXT = 1_000


class Priority(StrEnum):
    """How soon."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class OptionsError(RefusedError):
    """What is said of a recording beside it cannot be used."""

    kind = "options"
    lies_in_recording = True


class RecordingOptions(BaseModel):
    """What may be said of a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = Field(default=None, description="The model. Default: the provider's.")
    providers: tuple[str, ...] | None = Field(
        default=None, description="Who transcribes, each what those before it cannot: openai, groq, embedded."
    )
    language: str | None = Field(
        default=None, description="The language spoken (en, de, ja, …), if it is known."
    )
    languages: tuple[str, ...] | None = Field(
        default=None, description="Those that may be spoken, where there are several."
    )
    glossary: tuple[str, ...] | None = Field(
        default=None, description="Names and terms that are likely to be said."
    )
    translate: bool = Field(default=False, description="Make an English transcript as well.")
    segment_seconds: float | None = Field(default=None, ge=5, description="Length of segment to aim at.")
    align: AlignMode | None = Field(
        default=None, description="When words are timed by the sound itself: auto, always, never."
    )
    stream: int | None = Field(default=None, ge=0, description="Which audio stream, from 0.")
    speakers: Literal["none", "channels", "model", "voices"] | None = Field(
        default=None,
        description="How to tell who speaks. Default: by a NAME.rttm beside the recording, or not at all.",
    )
    min_speakers: int | None = Field(
        default=None, ge=1, le=MOST_SPEAKERS, description="With voices: so many speak at least."
    )
    max_speakers: int | None = Field(
        default=None, ge=1, le=MOST_SPEAKERS, description="With voices: no more than so many speak."
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="What speakers are to be called, by what they are called otherwise."
    )
    attendees: tuple[str, ...] = Field(
        default=(), description="Who was invited: names are suggested from these, and given to nobody."
    )
    tag: str | None = Field(default=None, max_length=LONGEST_TAG, description="A name to find the costs by.")
    budget: Decimal | None = Field(
        default=None, ge=0, le=LARGEST, description="The most that it may cost, in USD."
    )
    formats: list[str] = Field(
        default=[], description="Artifacts beside those that every job has: tsv, ass, docx, karaoke."
    )
    digest: bool | None = Field(default=None, description="Whether minutes of it are to follow.")
    priority: Priority = Field(default=Priority.NORMAL, description="How soon it is begun.")

    @field_validator("model", "providers", "language", "languages", "tag", "formats")
    @classmethod
    def _are_storable(cls, said: str | Iterable[str] | None) -> str | Iterable[str] | None:
        """See that there is no NUL, which PostgreSQL takes in no text."""
        if any("\0" in each for each in ((said,) if isinstance(said, str) else said or ())):
            raise ValueError("there is a NUL in it")
        return said

    @field_validator("glossary")
    @classmethod
    def _are_terms(cls, terms: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """See that they are terms, wherever they are listed."""
        return None if terms is None else listed_terms(terms)

    @field_validator("names")
    @classmethod
    def _are_names(cls, names: dict[str, str]) -> dict[str, str]:
        """See that they are as the command takes them; it says what is wrong."""
        try:
            return dict(name_of(f"{label}={name}") for label, name in names.items())
        except StenoflowError as error:
            raise ValueError(error.message) from error

    @field_validator("attendees")
    @classmethod
    def _are_harmless(cls, attendees: tuple[str, ...]) -> tuple[str, ...]:
        return clean_names(attendees)


@dataclass(frozen=True, slots=True)
class InboxRules:
    """What holds for all recordings of an inbox.

    Attributes:
        given: options that are said of all of them.
        allow: options that files beside recordings may give, though they can cost more.
        usual: what the settings have for options that nobody gives.
    """

    given: Mapping[str, Any]
    allow: Collection[str] = ()
    usual: Mapping[str, Any] = field(default_factory=dict)

    def check(self, place: str, options: RecordingOptions, farther: RecordingOptions) -> None:
        """Raise OptionsError where a file of options changes what it may not; ``farther``: without it."""
        is_dropped = options.budget is None and farther.budget is not None
        wanted, before = self._in_effect(options, "budget"), self._in_effect(farther, "budget")
        if is_dropped or _raises_budget(wanted, before):
            raise OptionsError(
                f"the option 'budget' in {shown(place)} is above the one that holds for the inbox",
                "a file there may only lower it; --budget, or options under [[inboxes]], raises it",
            )
        for name in ALLOWABLE:
            wanted, before = self._in_effect(options, name), self._in_effect(farther, name)
            if name not in self.allow and wanted != before and _may_cost_more(name, wanted, before):
                raise OptionsError(
                    f"the option {name!r} in {shown(place)} is not allowed in this inbox",
                    f'--allow {name}, or allow = ["{name}"] under [[inboxes]], allows it',
                )

    def _in_effect(self, options: RecordingOptions, name: str) -> Any:
        said = getattr(options, name)
        return self.usual.get(name) if said is None else said


def _raises_budget(wanted: Decimal | None, before: Decimal | None) -> bool:
    return before is not None and (wanted is None or wanted > before)


def _may_cost_more(name: str, wanted: Any, before: Any) -> bool:
    """Tell whether another value than before can cost more, or hold others up."""
    match name:
        case "translate" | "digest":
            return bool(wanted)
        case "priority":
            ranks = list(Priority)
            return ranks.index(wanted) < ranks.index(before)
        case "speakers":
            # Each channel is sent by itself.
            return bool(wanted == "channels")
        case "segment_seconds":
            # Each call may be charged a minimum, and neighbours overlap.
            # Longer ones than the shortest default cost no more.
            return wanted is None or wanted < min(before or UNTIMED_SEGMENT_S, UNTIMED_SEGMENT_S)
        case _:
            return True


def options_of(path: str, read: Read, rules: InboxRules) -> RecordingOptions:
    """Return a recording's options.

    Args:
        path: the recording's, below the inbox.
        read: gives the beginning of a file; None where there is none.
        rules: the inbox's.

    Raises:
        OptionsError: a file of options cannot be read, says what is no option, or gives one that it may not.
    """
    said = dict(rules.given)
    options = _validated(path, said)
    for place in _places(path):
        nearer = _read(place, read)
        if not nearer:
            continue
        if len(LANGUAGES & nearer.keys()) == 1:
            said = {name: value for name, value in said.items() if name not in LANGUAGES}
        said |= nearer
        farther, options = options, _validated(path, said)
        rules.check(place, options, farther)
    return options


def _validated(path: str, said: Mapping[str, Any]) -> RecordingOptions:
    try:
        return RecordingOptions.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise OptionsError(f"the option {name!r} of {shown(path)} cannot be used: {reason(first)}") from error


def _places(path: str) -> Iterator[str]:
    """Yield where options may be said, the nearest last."""
    folders = path.split("/")[:-1]
    for depth in range(len(folders) + 1):
        yield "/".join([*folders[:depth], FOLDER_FILE])
    whole, short = beside(path, ".json")
    yield from (short, whole)


def _read(place: str, read: Read) -> dict[str, Any]:
    try:
        found = read(place, _MOST_BYTES)
        text = (found or b"{}" if place.endswith(".json") else found or b"").decode("utf-8-sig")
        said = json.loads(text) if place.endswith(".json") else _loaded(text).get(_TABLE, {})
    except (StenoflowError, OSError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, StenoflowError) else plain_reason(error)
        raise OptionsError(f"the options in {shown(place)} cannot be read: {why}") from error
    if not isinstance(said, dict):
        raise OptionsError(f"the options in {shown(place)} are no object")
    if isinstance(said.get("languages"), str):
        said["languages"] = [each.strip() for each in said["languages"].split(",")]
    _check_texts(place, said)
    if isinstance(said.get("glossary"), str):
        said["glossary"] = _glossary(place, said["glossary"], read)
    return said


def _check_texts(place: str, said: Mapping[str, Any]) -> None:
    """Refuse control signs, and texts of any length: they would get to a server, a database and terminals."""
    for text in _texts(said):
        if len(text) > _LONGEST_TEXT or not is_plain(text):
            raise OptionsError(
                f"{shown(text[:40])!r} in {shown(place)} can be no option",
                f"a text there has {_LONGEST_TEXT} characters at most, and no control signs",
            )


def _texts(said: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts in options, as deep as options are; what lies deeper is none."""
    for name, value in said.items():
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        each = inside if isinstance(inside, list) else [inside]
        yield from (text for text in (name, *each) if isinstance(text, str))


def _loaded(text: str) -> dict[str, Any]:
    """Parse TOML; raises ValueError for what is none, or has keys of more parts than any of ours.

    The parser's time grows with the square of a key's parts: one of 30,000 takes a minute.
    """
    if any(_STRING.sub("", line).count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MOST_DOTS} dots outside of texts")
    return tomllib.loads(text)


def _glossary(place: str, name: str, read: Read) -> tuple[str, ...]:
    """Read the glossary that options name: a file in their own folder, or below it."""
    beside_it = str(PurePosixPath(place).parent / name)
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise OptionsError(f"the glossary {shown(name)} in {shown(place)} lies outside its folder")
    try:
        found = read(beside_it, MOST_BYTES + 1)
        if found is None:
            raise OptionsError(f"there is no glossary {shown(beside_it)}, which {shown(place)} names")
        return parse_glossary(found, shown(beside_it))
    except SettingsError as error:
        raise OptionsError(error.message, error.hint) from error
    except OSError as error:
        raise OptionsError(f"the glossary {shown(beside_it)} cannot be read: {error}") from error


_LONGEST_NAME = 100


def name_of(written: str) -> tuple[str, str]:
    """Read ``A=Anna``: what a speaker is called now, and is to be called.

    Raises:
        SettingsError: it is written otherwise, or too long.
    """
    label, equals, name = (part.strip() for part in written.partition("="))
    is_short = max(len(label), len(name)) <= _LONGEST_NAME
    if not (equals and label and name) or not is_short or not is_plain(written):
        raise SettingsError(
            f"{shown(written[:100])!r} gives no speaker a name",
            f"write it as A=Anna, or 'Channel 1=Anna'; a name has up to {_LONGEST_NAME} characters",
        )
    return label, name


def unknown_speaker(said: str, known: Iterable[str]) -> SettingsError:
    """Return the error for a name that is nobody's."""
    there = ", ".join(dict.fromkeys(known))
    return SettingsError(
        f"no speaker is called {said!r}", f"there are {there}" if there else "nobody is told apart"
    )
