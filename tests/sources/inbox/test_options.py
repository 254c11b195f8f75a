from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from stenoflow.tasks.sources.inbox.options import OptionsError, Priority, RecordingOptions, options_of

INBOX = {
    "stenoflow.toml": '[recordings]\ntag = "all"\nlanguage = "en"\n[prices]\n',
    "board/stenoflow.toml": '[recordings]\ntag = "board"\nbudget = 1.5\n',
    "board/may/talk.json": '{"language": "de", "priority": "urgent"}',
    "elsewhere/stenoflow.toml": '[recordings]\ntag = "elsewhere"\n',
}


def options(path: str, files: Mapping[str, str] = INBOX, **given: object) -> RecordingOptions:
    def read(place: str, most_bytes: int) -> bytes | None:
        text = files.get(place)
        return None if text is None else text.encode()[:most_bytes]

    return options_of(path, read, given)


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
        ("{", "cannot be read"),
        ("[]", "no object"),
        ('{"tags": "x"}', "'tags'"),
        ('{"segment_seconds": 1}', "'segment_seconds'"),
        ('{"priority": "soon"}', "'priority'"),
        ('{"budget": "NaN"}', "'budget'"),
        ('{"glossary": "names.txt"}', "no glossary"),
        ('{"glossary": "../names.txt"}', "outside its folder"),
        ('{"glossary": "/etc/passwd"}', "outside its folder"),
        ('{"glossary": 7}', "'glossary'"),
        ('{"translate": "perhaps"}', "'translate'"),
        ("[" * 10_000, "cannot be read"),
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
