from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from stenoflow.tasks.sources.inbox.options import (
    ALLOWABLE,
    InboxRules,
    OptionsError,
    Priority,
    RecordingOptions,
    options_of,
)

INBOX = {
    "stenoflow.toml": '[recordings]\ntag = "all"\nlanguage = "en"\n[prices]\n',
    "board/stenoflow.toml": '[recordings]\ntag = "board"\nbudget = 1.5\n',
    "board/may/talk.json": '{"language": "de", "priority": "urgent"}',
    "elsewhere/stenoflow.toml": '[recordings]\ntag = "elsewhere"\n',
}


def options(
    path: str,
    files: Mapping[str, str] = INBOX,
    allow: Collection[str] = ALLOWABLE,
    usual: Mapping[str, Any] | None = None,
    **given: Any,
) -> RecordingOptions:
    def read(place: str, most_bytes: int) -> bytes | None:
        text = files.get(place)
        return None if text is None else text.encode()[:most_bytes]

    return options_of(path, read, InboxRules(given, allow, usual or {}))


def test_the_nearer_counts() -> None:
    assert options("a.mp3", model="m", tag="command") == RecordingOptions(model="m", tag="all", language="en")
    assert options("board/may/talk.mp3") == RecordingOptions(
        tag="board", language="de", budget=Decimal("1.5"), priority=Priority.URGENT
    )


@pytest.mark.parametrize("name", ["talk.json", "talk.mp3.json"])
def test_options_beside_a_recording(name: str) -> None:
    assert options("talk.mp3", {name: '{"tag": "x"}'}).tag == "x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read: it is not valid JSON at line 1, column 2"),
        ("[]", "no object"),
        ('{"tags": "x"}', "'tags'"),
        ('{"segment_seconds": 1}', "'segment_seconds'"),
        ('{"priority": "soon"}', "'priority'"),
        *((f'{{"budget": {amount}}}', "'budget'") for amount in ("NaN", '"NaN"', "Infinity", -1, "1e30")),
        ('{"segment_seconds": Infinity}', "'segment_seconds'"),
        ('{"glossary": "names.txt"}', "no glossary"),
        ('{"glossary": "../names.txt"}', "outside its folder"),
        ('{"glossary": "/etc/passwd"}', "outside its folder"),
        ('{"glossary": 7}', "'glossary'"),
        ('{"translate": "perhaps"}', "'translate'"),
        ("[" * 10_000, "cannot be read: it is nested too deep"),
        ("\ufeff" + '{"tag": "' + "x" * 70_000 + '"}', "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(OptionsError, match=reason):
        options("talk.mp3", {"talk.json": text})


def test_a_byte_order_mark_is_passed_over() -> None:
    assert options("talk.mp3", {"talk.json": '\ufeff{"tag": "x"}'}).tag == "x"


def test_languages_and_glossaries() -> None:
    files = {
        "stenoflow.toml": '[recordings]\nlanguage = "fr"\nglossary = "names/all.txt"\n',
        "names/all.txt": "Anna\n",
        "board/stenoflow.toml": '[recordings]\nlanguages = ["en", "de"]\nglossary = ["Ben"]\n',
        "board/talk.json": '{"languages": "en, de", "glossary": "terms.txt", "translate": true}',
        "board/terms.txt": "# people\nClara\nDaniel\n",
    }
    assert options("a.mp3", files) == RecordingOptions(language="fr", glossary=("Anna",))
    assert options("board/a.mp3", files) == RecordingOptions(languages=("en", "de"), glossary=("Ben",))
    assert options("board/talk.mp3", files) == RecordingOptions(
        languages=("en", "de"), glossary=("Clara", "Daniel"), translate=True
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {},
            {"language": "de", "names": {"A": "Anna"}, "glossary": ["Ada"], "formats": ["tsv"], "stream": 1},
        ),
        ({}, {"speakers": "none", "segment_seconds": 600, "priority": "bulk", "budget": 3}),
        ({"budget": 2}, {"budget": 1.5}),
        ({"budget": 2, "tag": "board", "model": "m"}, {"budget": 2, "tag": "board", "model": "m"}),
        ({"translate": True, "digest": True}, {"translate": False, "digest": False}),
        ({"priority": "urgent"}, {"priority": "normal"}),
        ({"speakers": "channels"}, {"speakers": "none"}),
    ],
)
def test_a_dropper_says_what_costs_no_more(given: dict[str, Any], said: dict[str, object]) -> None:
    assert options("talk.mp3", {"talk.json": json.dumps(said)}, allow=(), **given) == (
        RecordingOptions.model_validate(given | said)
    )


@pytest.mark.parametrize(
    ("given", "said", "name"),
    [
        ({}, {"model": "gpt-4o-transcribe"}, "model"),
        ({"model": "cheap"}, {"model": None}, "model"),
        ({}, {"tag": "board"}, "tag"),
        ({"tag": "board"}, {"tag": None}, "tag"),
        ({}, {"priority": "urgent"}, "priority"),
        ({}, {"translate": True}, "translate"),
        ({}, {"digest": True}, "digest"),
        ({}, {"speakers": "channels"}, "speakers"),
        ({}, {"segment_seconds": 5}, "segment_seconds"),
    ],
)
def test_a_dropper_says_what_can_cost_more_only_where_it_is_allowed(
    given: dict[str, Any], said: dict[str, object], name: str
) -> None:
    files = {"talk.json": json.dumps(said)}
    with pytest.raises(OptionsError, match=f"'{name}' in talk.json") as refused:
        options("talk.mp3", files, allow=set(ALLOWABLE) - {name}, **given)
    assert f"--allow {name}" in (refused.value.hint or "")
    assert options("talk.mp3", files, allow=[name], **given) == RecordingOptions.model_validate(given | said)


@pytest.mark.parametrize("budget", ["2.01", "null", "1e12"])
def test_nobody_beside_a_recording_raises_a_budget(budget: str) -> None:
    said = {"talk.json": f'{{"budget": {budget}}}'}
    for usual in ({}, {"budget": Decimal(2)}):
        with pytest.raises(OptionsError, match="'budget' in talk"):
            options("talk.mp3", said, budget=Decimal(2), usual=usual)
    if budget != "null":
        with pytest.raises(OptionsError, match="'budget' in talk"):
            options("talk.mp3", said, usual={"budget": Decimal(2)})
        with pytest.raises(OptionsError, match="'budget' in talk"):
            options("talk.mp3", said | {"stenoflow.toml": "[recordings]\nbudget = 2"})


def test_what_the_settings_have_is_no_more_than_usual() -> None:
    said = {"talk.json": '{"digest": true, "model": "whisper-1"}'}
    usual = {"digest": True, "model": "whisper-1"}
    assert options("talk.mp3", said, allow=(), usual=usual) == RecordingOptions(
        digest=True, model="whisper-1"
    )
    with pytest.raises(OptionsError, match="'digest'"):
        options("talk.mp3", said, allow=(), usual=usual, digest=False)


@pytest.mark.parametrize(
    "line",
    [
        "recordings" + ".a" * 30_000 + " = 1",
        "[recordings" + ".a" * 30_000 + "]",
        "recordings = {a" + ".a" * 30_000 + " = 1}",
        '[recordings."a"' + ' . "a"' * 9_000 + "]",
    ],
)
def test_a_key_of_many_parts_keeps_nobody_busy(line: str) -> None:
    with pytest.raises(OptionsError, match="dots outside of texts"):
        options("a.mp3", {"stenoflow.toml": line})


def test_dots_in_texts_are_no_parts_of_keys() -> None:
    many = ", ".join(f'"U.S. v. {number}.{number}"' for number in range(100))
    found = options("a.mp3", {"stenoflow.toml": f"[recordings]\nglossary = [{many}]\n"})
    assert found.glossary is not None
    assert len(found.glossary) == 100


_FILE = "talk.json"
_FOLDER = "stenoflow.toml"


@pytest.mark.parametrize("sign", ["\0", "\x1b[31m", "\x07", "\n", "\u202e", "\ud800"])
@pytest.mark.parametrize(
    "said",
    [
        {"tag": "a{}b"},
        {"model": "whisper-1{}"},
        {"providers": ["openai{}"]},
        {"language": "de{}"},
        {"languages": ["en", "d{}e"]},
        {"glossary": ["Anna{}Kowalczyk"]},
        {"names": {"A": "An{}na"}},
        {"names": {"A{}b": "Anna"}},
        {"formats": ["ts{}v"]},
        {"no option{}": 1},
    ],
)
def test_no_control_sign_comes_from_beside_a_recording(said: dict[str, Any], sign: str) -> None:
    text = json.dumps(said).replace("{}", json.dumps(sign)[1:-1])
    with pytest.raises(OptionsError, match="talk") as refused:
        options("talk.mp3", {_FILE: text})
    assert sign not in f"{refused.value.message}{refused.value.hint}"


def test_a_list_of_terms_is_held_against_what_a_glossary_takes() -> None:
    listed = json.dumps({"glossary": [" Anna  Kowalczyk ", "C#", "\u0645\u06cc\u200c\u062e", "", "C#"]})
    assert options("talk.mp3", {_FILE: listed}).glossary == (
        "Anna Kowalczyk",
        "C#",
        "\u0645\u06cc\u200c\u062e",
    )
    for term in ("x" * 101, "a\\u0085b", "a\\ud800"):
        with pytest.raises(OptionsError, match=r"glossary|control signs"):
            options("talk.mp3", {_FILE: f'{{"glossary": ["{term}"]}}'})
    with pytest.raises(OptionsError, match="'glossary'"):
        options("talk.mp3", {_FOLDER: f'[recordings]\nglossary = ["{"x" * 101}"]\n'})


@pytest.mark.parametrize("depth", [50, 900])
@pytest.mark.parametrize("name", ["names", "glossary", "tag"])
def test_options_in_each_other_are_refused_however_deep(name: str, depth: int) -> None:
    with pytest.raises(OptionsError):
        options("talk.mp3", {_FILE: f'{{"{name}": {"[" * depth}"\\u0000"{"]" * depth}}}'})


@pytest.mark.parametrize("name", ["tag", "model", "language"])
def test_nobody_gives_an_option_that_a_database_does_not_take(name: str) -> None:
    with pytest.raises(ValidationError, match="NUL"):
        RecordingOptions.model_validate({name: "a\0b"})
