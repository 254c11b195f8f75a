"""Many clients at once: all are served in turn, the next are sent away, and who leaves is not worked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event, Lock

import httpx
import openai
import pytest

from stenoflow.tasks.engine.admission import MOST_ACTIVE, MOST_ADMITTED, Admission
from stenoflow.tasks.engine.engine import Engine
from stenoflow.tasks.engine.recogniser import Hints, Recognition, Samples
from stenoflow.tasks.engine.sample import sound
from stenoflow.tasks.engine.weights import packaged
from stenoflow.tasks.transcript.types import Utterance, Word
from tests.engine.conftest import serving, serving_by_command, word_error_rate
from tests.waiting import FOREVER

_MODEL = "slow"
_SMALLEST = next((each.model for each in reversed(packaged())), None) or ""


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
    text = httpx.get(url.removesuffix("/v1") + "/metrics", timeout=FOREVER).text
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


def _upload(file: Path) -> dict[str, tuple[str, bytes]]:
    return {"file": (file.name, file.read_bytes())}


@asynccontextmanager
async def leaving(url: str, file: Path, **fields: str) -> AsyncGenerator[None, None]:
    """Ask, and leave at the end of the block without an answer."""
    async with httpx.AsyncClient(timeout=FOREVER) as http:
        data = {"model": _MODEL, **fields}
        sent = http.post(f"{url}/audio/transcriptions", data=data, files=_upload(file))
        asked = asyncio.create_task(sent)
        yield
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}])
async def test_who_leaves_is_not_worked_for(silence: Path, fields: dict[str, str]) -> None:
    with serving_slowly(Admission(active=1)) as (url, slow):
        async with leaving(url, silence, **fields):
            await asyncio.to_thread(_until, url, "stenoflow_engine_active", 1)
        if fields:
            # Its next word finds out that nobody listens.
            slow.go.set()
        await asyncio.to_thread(_until, url, "stenoflow_engine_active", 0)
        assert slow.closed == 1
        slow.go.set()
        answer = await asyncio.to_thread(_ask, url, silence)
        assert answer.json()["text"] == "word0 word1 word2"


async def test_who_waits_in_line_may_leave(silence: Path) -> None:
    with serving_slowly(Admission(active=1)) as (url, slow):
        first = asyncio.create_task(asyncio.to_thread(_ask, url, silence))
        await asyncio.to_thread(_until, url, "stenoflow_engine_active", 1)
        async with leaving(url, silence):
            await asyncio.to_thread(_until, url, "stenoflow_engine_waiting", 1)
        await asyncio.to_thread(_until, url, "stenoflow_engine_waiting", 0)
        slow.go.set()
        assert (await first).status_code == 200
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


@contextmanager
def serving_whisper(cores: int = 2) -> Iterator[str]:
    """Run the command on so many cores, as users do; its URL."""
    few = (
        "import os\n"
        "if hasattr(os, 'sched_setaffinity'):\n"
        f"    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}])\n"
    )
    with serving_by_command(few) as (url, _):
        yield url


@pytest.mark.slow
# It takes 120 s of processor time, which are 20 minutes at a load of 40.
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not packaged(), reason="no weights are installed")
def test_eight_clients_are_served_fairly_in_memory_that_stays(short_speech: Path, short_script: str) -> None:
    """By the smallest weights that are installed, on two cores."""
    rounds, clients = 3, 8
    finished: list[str | int] = []
    texts: set[str] = set()

    def ask(client: int, rounds: int) -> None:
        for _ in range(rounds):
            texts.add(_ask(url, short_speech, model=_SMALLEST, temperature="0").json()["text"])
            finished.append(client)

    def ask_for_long() -> None:
        assert _ask(url, sound(), model=_SMALLEST, temperature="0").status_code == 200
        finished.append("long")

    def crowd(rounds: int) -> float:
        """Have a long recording transcribed beside those of the clients; the memory that is taken then."""
        long = pool.submit(ask_for_long)
        _until(url, "stenoflow_engine_active", 1)
        for each in [pool.submit(ask, client, rounds) for client in range(clients)]:
            each.result()
        long.result()
        return _metric(url, "process_resident_memory_bytes")

    with serving_whisper() as url, ThreadPoolExecutor(clients + 1) as pool:
        warm = crowd(1)
        finished.clear()
        assert crowd(rounds) < 1.15 * warm
        answered = _metric(url, 'stenoflow_engine_requests_total{outcome="answered"}')
        assert answered == (rounds + 1) * clients + 2

    assert len(texts) == 1, "nobody hears what another said"
    assert word_error_rate(short_script, texts.pop()) < 0.1
    for at in range(1, len(finished)):
        counts = [finished[:at].count(each) for each in range(clients)]
        assert max(counts) - min(counts) <= 2, "they take turns"
    before_the_long_one = finished[: finished.index("long")]
    assert {*before_the_long_one} == {*range(clients)}, "it does not hold up the rest"


@pytest.mark.slow
@pytest.mark.skipif(not packaged(), reason="no weights are installed")
async def test_beyond_the_bound_it_refuses_and_who_leaves_frees_a_place(short_speech: Path) -> None:
    limits = httpx.Limits(max_connections=None)
    with serving_whisper() as url:
        async with httpx.AsyncClient(timeout=FOREVER, limits=limits) as http:

            def ask(file: Path) -> asyncio.Task[httpx.Response]:
                data = {"model": _SMALLEST}
                sent = http.post(f"{url}/audio/transcriptions", data=data, files=_upload(file))
                return asyncio.create_task(sent)

            asked = [ask(sound()) for _ in range(MOST_ADMITTED)]
            await asyncio.to_thread(_until, url, "stenoflow_engine_active", MOST_ACTIVE)
            await asyncio.to_thread(_until, url, "stenoflow_engine_waiting", MOST_ADMITTED - MOST_ACTIVE)
            refused = await ask(short_speech)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            await asyncio.to_thread(_until, url, "stenoflow_engine_active", 0)
            await asyncio.to_thread(_until, url, "stenoflow_engine_waiting", 0)
            assert (await ask(short_speech)).status_code == 200
        assert _metric(url, 'stenoflow_engine_requests_total{outcome="left"}') == MOST_ADMITTED
        assert _metric(url, 'stenoflow_engine_requests_total{outcome="rejected"}') == 1
