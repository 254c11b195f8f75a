from __future__ import annotations

import json
from dataclasses import replace

from stenoflow.tasks.assembly.job_settings import JobSettings

_PLAIN = JobSettings("openai", "whisper-1", "verbose_json", 600_000, 60_000)


def test_jobs_of_before_keep_their_ids() -> None:
    """Worked out once by the first release's code."""
    first = {
        name: getattr(_PLAIN, name) for name in ("provider", "model", "format", "target_ms", "window_ms")
    }
    assert _PLAIN.to_dict() == first | {"language": None, "prompt": None, "stream": None}
    assert _PLAIN.settings_hash.startswith("cdb05b7f2c1fa988")


def test_what_is_asked_for_makes_another_job() -> None:
    asked = replace(_PLAIN, language="en")
    assert asked.settings_hash != _PLAIN.settings_hash
    assert JobSettings.from_dict(asked.to_dict()) == asked


def test_what_is_asked_beside_the_language_makes_other_answers_but_a_translation_does_not() -> None:
    spans = [(0, 16_000)]
    key = _PLAIN.cache_key("0" * 64, spans)
    assert key == replace(_PLAIN, translate=True).cache_key("0" * 64, spans)
    others = [replace(_PLAIN, languages=("en", "de")), replace(_PLAIN, keywords=("Anna",))]
    assert len({key, *(each.cache_key("0" * 64, spans) for each in others)}) == 3
    for asked in (*others, replace(_PLAIN, translate=True)):
        assert asked.settings_hash != _PLAIN.settings_hash
        assert JobSettings.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_answers_of_before_are_found() -> None:
    """Worked out once by the first release's code."""
    assert _PLAIN.cache_key("0" * 64, [(0, 16_000)]).startswith("11eb526ca24682c6")


def test_what_is_sent_louder_has_other_answers_and_all_else_those_of_before() -> None:
    keys = [_PLAIN.cache_key("0" * 64, [(0, 16_000)], gain_db=gain_db) for gain_db in (0, 30, 31)]
    assert len(set(keys)) == 3
    assert keys[0] == _PLAIN.cache_key("0" * 64, [(0, 16_000)])


def test_speakers_make_another_job_and_channels_other_segments() -> None:
    channels, model, turns = (replace(_PLAIN, speakers=each) for each in ("channels", "model", "turns"))
    assert len({each.settings_hash for each in (_PLAIN, channels, model, turns)}) == 4
    assert channels.plan_hash != _PLAIN.plan_hash == model.plan_hash == turns.plan_hash
    spans = [(0, 16_000)]
    # Who speaks by turns changes no request, so what was bought is found.
    assert turns.cache_key("a", spans) == _PLAIN.cache_key("a", spans) == model.cache_key("a", spans)
    keys = {channels.cache_key("a", spans, channel=channel) for channel in (None, 0, 1)}
    assert len(keys) == 3
    assert len({model.cache_key("a", spans, after=after) for after in ((), ("x",), ("y",), ("x", "y"))}) == 4


def test_a_chat_model_that_translates_makes_another_job_of_the_same_hearing() -> None:
    asked = replace(_PLAIN, translate=True)
    by_chat = replace(asked, translator="gpt-4o-mini")
    other = replace(asked, translator="gpt-4.1")
    assert len({each.settings_hash for each in (asked, by_chat, other)}) == 3
    assert JobSettings.from_dict(by_chat.to_dict()) == by_chat
    assert len({each.cache_key("a", [(0, 1)]) for each in (asked, by_chat, other)}) == 1
    # The same model of somebody else may say it otherwise.
    elsewhere = replace(by_chat, translator_provider="groq")
    assert len({each.translation_key("a") for each in (asked, by_chat, other, elsewhere)}) == 4
    # Worked out once before there were others.
    assert asked.translation_key("a").startswith("3229be2f2182")
    assert (asked.calls_a_segment, by_chat.calls_a_segment) == (2, 1)
