"""The chat client against a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenoflow.tasks.api import errors
from stenoflow.tasks.api.chat import ChatRequest, Message, Shape, parse_chat
from stenoflow.tasks.api.client import AudioApi
from stenoflow.tasks.api.client_settings import AudioApiSettings
from stenoflow.tasks.api.models import load_models
from stenoflow.tasks.api.thoughts import ThoughtFilter, without_thoughts
from stenoflow.tasks.api.types import Target
from tests.servers.audio_api import AudioApiServer

MODELS = load_models()
SHAPE = Shape("minutes", {"type": "object"})
QUESTION = ChatRequest(
    "gpt-4o-mini", (Message("system", "Be short."), Message("user", "Größe?")), 50, SHAPE, temperature=0.0
)


@pytest.fixture
def api(server: AudioApiServer) -> AudioApi:
    server.chat.chatter = lambda _: "It is  this\nlarge."
    return AudioApi(AudioApiSettings(server.base_url), MODELS)


async def test_what_is_sent_and_what_comes_back(api: AudioApi, server: AudioApiServer) -> None:
    async with api:
        answer = await api.chat(QUESTION)
    (chat,) = server.chat.chats
    assert chat.document == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Größe?"}],
        "max_tokens": 50,
        "temperature": 0.0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "minutes", "strict": True, "schema": {"type": "object"}},
        },
    }
    assert answer.text == "It is  this\nlarge."
    assert (answer.input_tokens, answer.output_tokens) == (chat.read, chat.written)
    assert not answer.is_cut_short
    assert parse_chat(answer.raw.encode(), Target("openai", "gpt-4o-mini")) == answer


async def test_a_stream_is_told_as_it_comes_and_is_the_same_answer(
    api: AudioApi, server: AudioApiServer
) -> None:
    told: list[str] = []
    async with api:
        answer = await api.stream_chat(QUESTION, told.append)
    assert told == ["It ", "is  ", "this\n", "large."]
    assert answer.text == "It is  this\nlarge."
    assert answer.input_tokens == server.chat.chats[0].read
    assert parse_chat(answer.raw.encode(), Target("openai")) == answer


async def test_a_server_that_does_not_stream_is_told_at_once(api: AudioApi, server: AudioApiServer) -> None:
    told: list[str] = []
    server.chat.streams = False
    async with api:
        await api.stream_chat(QUESTION, told.append)
    assert told == ["It is  this\nlarge."]


@pytest.mark.parametrize(
    ("mode", "calls", "left"),
    [
        ("refuses-schema", 2, lambda asked: asked["response_format"] == {"type": "json_object"}),
        ("refuses-format", 3, lambda asked: "response_format" not in asked),
        ("refuses-max-tokens", 2, lambda asked: asked["max_completion_tokens"] == 50),
        ("refuses-temperature", 2, lambda asked: "temperature" not in asked),
        ("refuses-stream-options", 2, lambda asked: "stream_options" not in asked),
    ],
)
async def test_what_a_server_refuses_is_left_away_then_and_later(
    api: AudioApi,
    server: AudioApiServer,
    mode: str,
    calls: int,
    left: Callable[[dict[str, object]], bool],
) -> None:
    server.mode = mode
    async with api:
        for _ in range(2):
            assert (await api.stream_chat(QUESTION, lambda _: None)).text
    assert len(server.chat.chats) == calls + 1
    assert sum(chat.charged for chat in server.chat.chats) == 2
    assert left(server.chat.chats[-1].document)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("too-long", errors.ContextExceededError),
        ("404-model", errors.ModelNotFoundError),
        ("401", errors.KeyRefusedError),
        ("429", errors.RateLimitedError),
        ("500", errors.UnknownOutcomeError),
        ("html-200", errors.WrongAddressError),
        ("error-200", errors.BadAnswerError),
        ("reset-after-body", errors.UnknownOutcomeError),
    ],
)
async def test_what_goes_wrong_is_said(
    api: AudioApi, server: AudioApiServer, mode: str, kind: type[errors.CallError], stream: bool
) -> None:
    server.mode = mode
    async with api:
        with pytest.raises(errors.CallError) as caught:
            await (api.stream_chat(QUESTION, lambda _: None) if stream else api.chat(QUESTION))
    assert type(caught.value) is kind


async def test_a_stream_that_ends_midway_may_have_been_charged(api: AudioApi, server: AudioApiServer) -> None:
    server.script(["breaks-off"])
    async with api:
        with pytest.raises(errors.BadAnswerError, match="midway"):
            await api.stream_chat(QUESTION, lambda _: None)


@pytest.mark.parametrize(
    ("mode", "text", "refusal", "is_cut_short"),
    [
        ("content-null", "", "", False),
        ("content-parts", "In parts", "", False),
        ("refusal", "", "I will not.", False),
        ("tool-call", "", "", False),
        ("cut-short", "It is  this\nlarge.", "", True),
        ("no-usage", "It is  this\nlarge.", "", False),
    ],
)
async def test_odd_answers_are_read_all_the_same(
    api: AudioApi, server: AudioApiServer, mode: str, text: str, refusal: str, is_cut_short: bool
) -> None:
    server.mode = mode
    async with api:
        answer = await api.chat(QUESTION)
    assert (answer.text, answer.refusal, answer.is_cut_short) == (text, refusal, is_cut_short)
    assert (answer.input_tokens is None) == (mode == "no-usage")


def test_a_question_is_never_more_tokens_than_bytes_are_counted() -> None:
    long = ChatRequest("m", (Message("user", "ö" * 1000),), 50)
    assert long.most_input_tokens >= 2000


_THOUGHTS = [
    "<think>Nine? Ten?</think>\n\nIt is nine.",
    "<THINKING>\nNine?\n</THINKING> It is nine.",
    "<think>Nine?</think>It is <thinking>no</thinking>nine.",
    "[THINK]Nine?[/THINK]It is nine.",
    "<|channel|>analysis<|message|>Nine?<|end|><|start|>assistant<|channel|>final<|message|>It is nine.",
    "<think>Nine? <think>Or ten?</think> No, Nine?</think>It is nine.",
    "<think>Nine? I could end with <think>, or <Think>.</think> It is nine.",
    "<|START_THINKING|>Nine?<|END_THINKING|>It is nine.",
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", _THOUGHTS)
async def test_what_a_model_thinks_aloud_is_not_told(
    api: AudioApi, server: AudioApiServer, text: str, *, stream: bool
) -> None:
    server.chat.chatter = lambda _: text
    told: list[str] = []
    async with api:
        answer = await (api.stream_chat(QUESTION, told.append) if stream else api.chat(QUESTION))
    assert answer.text == "It is nine."
    assert not stream or "".join(told) == answer.text
    # All that was paid for is kept, and read again in the same way.
    assert "Nine?" in answer.raw
    assert parse_chat(answer.raw.encode(), Target("x")) == answer


@pytest.mark.parametrize("stream", [False, True])
async def test_a_thought_without_an_end_is_no_answer(
    api: AudioApi, server: AudioApiServer, *, stream: bool
) -> None:
    server.chat.chatter = lambda _: "<think>Nine? Or is it ten? Let me think of"
    told: list[str] = []
    async with api:
        answer = await (api.stream_chat(QUESTION, told.append) if stream else api.chat(QUESTION))
    assert (answer.text, told) == ("", [])


@pytest.mark.parametrize(
    "text",
    [
        "Nine? Ten?\n</think>\n\nIt is nine.",
        "<think>Nine?</think>It is nine.",
        "Nine?\n</THINKING>It is nine.",
        "It is nine.",
    ],
)
async def test_a_thought_that_the_server_began_is_left_out(
    api: AudioApi, server: AudioApiServer, text: str
) -> None:
    """Where a model may begin one without a mark, nothing of a stream is told before it has ended."""
    server.chat.chatter = lambda _: text
    told: list[str] = []
    async with api:
        assert (await api.chat(QUESTION)).text == "It is nine."
        answer = await api.stream_chat(QUESTION, told.append, marks_thoughts=False)
    assert ("".join(told), answer.text) == ("It is nine.",) * 2


def test_fields_and_parts_of_reasoning_are_no_answer() -> None:
    message = {
        "reasoning_content": "Nine?",
        "reasoning": "Nine?",
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Nine?"}]},
            {"type": "reasoning", "text": "Nine?"},
            {"type": "text", "text": "It is nine."},
        ],
    }
    assert (
        parse_chat(json.dumps({"choices": [{"message": message}]}).encode(), Target("x")).text
        == "It is nine."
    )


@given(
    st.lists(
        st.sampled_from(["<", "think", ">", "</", "a < b ", "<think>", "</think>", "</THINK>", "\n", "x"])
    ),
    st.booleans(),
)
def test_a_thought_is_the_same_in_one_piece_and_in_many(pieces: list[str], waits: bool) -> None:
    whole, split = ThoughtFilter(waits), ThoughtFilter(waits)
    once = whole.take("".join(pieces)) + whole.close()
    assert "".join(map(split.take, pieces)) + split.close() == once


def test_a_text_without_thoughts_stays_as_it_is() -> None:
    text = " If a < b, then <b>think</b> of it. <thi"
    assert without_thoughts(text) == text


def test_a_count_of_any_length_loses_no_answer() -> None:
    number = "9" * 5_000
    choice = '{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}'
    usage = f'{{"prompt_tokens": {number}, "completion_tokens": {number}}}'
    answer = parse_chat(f'{{"choices": [{choice}], "usage": {usage}}}'.encode(), Target("test", "m"))
    assert (answer.text, answer.input_tokens) == ("Yes.", None)
    assert parse_chat(answer.raw.encode(), Target("test", "m")) == answer
