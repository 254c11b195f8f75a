"""Many clients at once: all are served in turn, the next are sent away, and who leaves is not worked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Lock

import httpx
import openai
import pytest

from stenoflow.tasks.engine.admission import Admission
from stenoflow.tasks.engine.engine import FASTER_WHISPER, Engine
from stenoflow.tasks.engine.recogniser import Hints, Recognition, Samples
from stenoflow.tasks.transcript.types import Utterance, Word
from tests.engine.conftest import serving
from tests.waiting import FOREVER

_MODEL = "slow"


class Slow:
    """A recogniser that says a word, and goes on when the test says so."""

    languages = frozenset({"en"})
    translates = False

    def __init__(self) -> None:
        self.go = Event()
        self.closed = 0
        self.at_once = self.most_at_once = 0
        self._lock = Lock()

    async def recognise(self, samples: Samples, hints: Hints) -> Recognition:
        assert samples.size, hints
        return Recognition("en", self._utterances())

    async def _utterances(self) -> AsyncGenerator[Utterance, None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for index in range(3):
                yield Utterance(f" word{index}", 0, 10, words=(Word(f"word{index}", 0, 10, 0.5),))
                await asyncio.to_thread(self.go.wait)
        finally:
            with self._lock:
                self.at_once -= 1
                self.closed += 1

    async def warm_up(self) -> None:
        """Be ready at once."""

    def close(self) -> None:
        """Hold nothing."""


@contextmanager
def serving_slowly(admission: Admission) -> Iterator[tuple[str, Slow]]:
    """Serve a slow recogniser; its URL, and itself."""
    slow = Slow()
    with ExitStack() as stack:
        stack.callback(slow.go.set)
        yield stack.enter_context(serving(Engine({_MODEL: lambda: slow}), admission=admission)), slow


def _metric(url: str, name: str) -> float:
    text = httpx.get(url.removesuffix("/v1") + "/metrics").text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


def _until(url: str, name: str, value: float) -> None:
    while _metric(url, name) != value:
        Event().wait(0.02)


def _ask(url: str, file: Path, **fields: str) -> httpx.Response:
    with file.open("rb") as sound:
        data = {"model": _MODEL, **fields}
        return httpx.post(f"{url}/audio/transcriptions", data=data, files={"file": sound}, timeout=FOREVER)


def test_those_in_line_are_served_and_the_next_is_told_when_to_come_again(silence: Path) -> None:
    with serving_slowly(Admission(active=2, admitted=4)) as (url, slow), ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(_ask, url, silence) for _ in range(4)]
        _until(url, "stenoflow_engine_active", 2)
        _until(url, "stenoflow_engine_waiting", 2)
        refused = _ask(url, silence)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        slow.go.set()
        assert [each.result().json()["text"] for each in asked] == ["word0 word1 word2"] * 4
        assert slow.most_at_once <= 2
        assert _metric(url, 'stenoflow_engine_requests_total{outcome="answered"}') == 4
        assert _metric(url, 'stenoflow_engine_requests_total{outcome="rejected"}') == 1
        assert _metric(url, "stenoflow_engine_audio_seconds_total") == 20
        assert _metric(url, "process_resident_memory_bytes") > 0


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}])
def test_who_leaves_is_not_worked_for(silence: Path, fields: dict[str, str]) -> None:
    with serving_slowly(Admission(active=1)) as (url, slow):
        with httpx.Client() as client, pytest.raises(httpx.ReadTimeout), silence.open("rb") as sound:
            client.post(
                f"{url}/audio/transcriptions",
                data={"model": _MODEL, **fields},
                files={"file": sound},
                timeout=1.0,
            )
        if fields:
            # Its next word finds out that nobody listens.
            slow.go.set()
        _until(url, "stenoflow_engine_active", 0)
        assert slow.closed == 1
        slow.go.set()
        assert _ask(url, silence).json()["text"] == "word0 word1 word2"


def test_who_waits_in_line_may_leave(silence: Path) -> None:
    with serving_slowly(Admission(active=1)) as (url, slow), ThreadPoolExecutor(2) as clients:
        first = clients.submit(_ask, url, silence)
        _until(url, "stenoflow_engine_active", 1)
        with pytest.raises(httpx.ReadTimeout), silence.open("rb") as sound:
            httpx.post(
                f"{url}/audio/transcriptions", data={"model": _MODEL}, files={"file": sound}, timeout=0.5
            )
        _until(url, "stenoflow_engine_waiting", 0)
        slow.go.set()
        assert first.result().status_code == 200
        assert slow.closed == 1


def test_how_sure_it_is_of_each_word_is_told(silence: Path) -> None:
    with serving_slowly(Admission()) as (url, slow), openai.OpenAI(base_url=url, api_key="none") as client:
        slow.go.set()
        heard = client.audio.transcriptions.create(model=_MODEL, file=silence, include=["logprobs"])
        assert heard.logprobs is not None
        assert [each.token for each in heard.logprobs] == [" word0", " word1", " word2"]
        assert {each.logprob for each in heard.logprobs} == {round(math.log(0.5), 4)}
        events = client.audio.transcriptions.create(
            model=_MODEL, file=silence, include=["logprobs"], stream=True
        )
        *deltas, done = events
        assert [each.logprobs[0].token for each in deltas if each.logprobs] == [" word0", " word1", " word2"]  # type: ignore[union-attr]
        assert done.type == "transcript.text.done"
        with pytest.raises(openai.BadRequestError, match="logprobs needs response_format json"):
            client.audio.transcriptions.create(
                model=_MODEL, file=silence, include=["logprobs"], response_format="verbose_json"
            )


@pytest.mark.slow
def test_eight_clients_at_once_are_all_served(engine: Engine, short_speech: Path) -> None:
    """By the real library, with a model that knows nothing, in two threads."""
    with serving(engine) as url, ThreadPoolExecutor(8) as clients:
        fields = {"model": FASTER_WHISPER, "temperature": "0", "language": "en"}
        answers = list(clients.map(lambda _: _ask(url, short_speech, **fields), range(16)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["text"] for answer in answers}) == 1, "nobody hears what another said"
        assert _metric(url, "stenoflow_engine_waiting") == 0
