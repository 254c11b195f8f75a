from __future__ import annotations

from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.requests import TranscriptionRequest, form_fields

MODELS = load_models()


def fields_of(model: str, **hints: object) -> list[tuple[str, str]]:
    request = TranscriptionRequest(model, **hints)  # type: ignore[arg-type] # the test's own keywords
    return form_fields(request, MODELS.get(model))


def test_whisper_is_asked_for_words_and_segments_both() -> None:
    assert fields_of("whisper-1") == [
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    ]


def test_a_model_without_times_is_not_asked_for_them() -> None:
    assert fields_of("gpt-4o-transcribe") == [("model", "gpt-4o-transcribe"), ("response_format", "json")]


def test_the_diarizing_model_gets_its_chunking_strategy_and_no_prompt() -> None:
    fields = fields_of("gpt-4o-transcribe-diarize", prompt="Minutes.", keywords=("Ada",))

    assert fields[1:] == [("response_format", "diarized_json"), ("chunking_strategy", "auto")]


def test_one_language_goes_in_the_form_that_the_model_knows() -> None:
    assert ("language", "de") in fields_of("whisper-1", language="de")
    assert ("languages[]", "de") in fields_of("gpt-transcribe", language="de")
    assert ("language", "de") in fields_of("whisper-1", languages=("de",))


def test_several_languages_are_named_or_left_to_the_model() -> None:
    several = fields_of("gpt-transcribe", languages=("de", "fr"))

    assert [value for name, value in several if name == "languages[]"] == ["de", "fr"]
    assert not [name for name, _ in fields_of("whisper-1", languages=("de", "fr")) if "language" in name]


def test_keywords_go_as_keywords_or_into_the_prompt() -> None:
    hints = {"keywords": ("Ada", "Zuse"), "prompt": "A meeting."}

    named = fields_of("gpt-transcribe", **hints)
    assert named[2:] == [("keywords[]", "Ada"), ("keywords[]", "Zuse"), ("prompt", "A meeting.")]
    assert fields_of("gpt-4o-transcribe", **hints)[2:] == [("prompt", "Glossary: Ada, Zuse. A meeting.")]
    assert fields_of("gpt-4o-transcribe", keywords=("Ada",))[2:] == [("prompt", "Glossary: Ada.")]


def test_a_temperature_of_zero_is_sent() -> None:
    assert ("temperature", "0") in fields_of("gpt-4o-transcribe", temperature=0.0)
    assert ("temperature", "0.2") in fields_of("gpt-4o-transcribe", temperature=0.2)
