"""What pocketsphinx hears, and what is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import httpx
import numpy as np
import pytest

from stenoflow.tasks.engine.app import create_app
from stenoflow.tasks.engine.decoder_pool import DecoderPool, SpokenWord
from stenoflow.tasks.engine.engine import Engine, load_sound
from stenoflow.tasks.engine.pocketsphinx import PocketsphinxRecogniser, group, timed_words
from stenoflow.tasks.engine.recogniser import Hints, Samples
from stenoflow.tasks.engine.sample import sound
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from stenoflow.tasks.transcript.types import Region, Utterance, Word
from tests.engine.conftest import SPEECH, word_error_rate, write_wav


@pytest.fixture(scope="module")
def recogniser() -> Iterator[PocketsphinxRecogniser]:
    recogniser = PocketsphinxRecogniser(processes=2)
    yield recogniser
    recogniser.close()


async def hear(recogniser: PocketsphinxRecogniser, samples: Samples) -> list[Utterance]:
    hearing = await recogniser.recognise(samples, Hints())
    return [utterance async for utterance in hearing.utterances]


def text_of(utterances: list[Utterance]) -> str:
    return "".join(utterance.text for utterance in utterances)


def test_frames_become_times_on_the_timeline() -> None:
    spoken = [SpokenWord("good", 60, 89, 0.5), SpokenWord("morning", 90, 149, 1.0)]
    assert list(timed_words(spoken, Region(10_000, 30_000))) == [
        Word("good", 10_600, 10_900, 0.5),
        Word("morning", 10_900, 11_500, 1.0),
    ]


def test_a_word_never_outlasts_its_chunk() -> None:
    (word,) = timed_words([SpokenWord("end", 90, 100, 1.0)], Region(0, 1_000))
    assert word.end_ms == 1_000


def test_pauses_part_utterances() -> None:
    words = [Word("one", 0, 300, 1.0), Word("two", 400, 700, 1.0), Word("three", 1_050, 1_300, 1.0)]
    first, second = group(words)
    assert (first.text, first.start_ms, first.end_ms) == (" one two", 0, 700)
    assert (second.text, second.words) == (" three", (words[2],))
    assert first.avg_logprob == 0.0


@pytest.mark.skipif(not SPEECH.exists(), reason="needs the shared recordings")
@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("jfk.wav", 0.35),  # measured: 0.23
        ("LJ001-0001.wav", 0.35),
    ],
)
async def test_real_speech_is_heard_somehow(
    recogniser: PocketsphinxRecogniser, name: str, bound: float
) -> None:
    said = (SPEECH / name).with_suffix(".txt").read_text(encoding="utf-8")
    heard = text_of(await hear(recogniser, await load_sound(SPEECH / name)))
    assert word_error_rate(said, heard) < bound


@pytest.mark.parametrize("level", [0, 33, 1_000])
async def test_silence_and_steady_noise_say_nothing(recogniser: PocketsphinxRecogniser, level: int) -> None:
    noise = np.random.default_rng(1).normal(0, level, 80_000).astype(np.int16)
    assert await hear(recogniser, noise) == []


@pytest.mark.parametrize("length", [0, 1, 159, 160, 480])
async def test_scraps_say_nothing(recogniser: PocketsphinxRecogniser, length: int) -> None:
    assert await hear(recogniser, np.full(length, 9_000, np.int16)) == []


async def test_no_word_is_made_up_in_the_silence_between(recogniser: PocketsphinxRecogniser) -> None:
    samples = await load_sound(sound())
    sentence = samples[: 3 * 16_000]
    gap = np.zeros(2 * 16_000, np.int16)
    utterances = await hear(recogniser, np.concatenate([sentence, gap, sentence]))
    assert text_of(utterances).count("good morning") == 2
    assert not [word for each in utterances for word in each.words if 3_300 < word.start_ms < 4_700]


async def test_the_same_sound_gives_the_same_text_whatever_was_heard_before() -> None:
    recogniser = PocketsphinxRecogniser(processes=1)
    samples = await load_sound(sound())
    woman, man = samples[: 3 * 16_000], samples[189_000:223_000]
    texts = [text_of(await hear(recogniser, voice)) for voice in (woman, man, woman)]
    assert texts[0] == texts[2] == " good morning and thank you for coming"
    assert texts[1] == " i can start with the website"
    recogniser.close()


class WatchedPool(DecoderPool):
    """A pool that remembers what it was given."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.given: list[Future[list[SpokenWord]]] = []

    def submit(self, sound: bytes) -> Future[list[SpokenWord]]:
        self.given.append(super().submit(sound))
        return self.given[-1]


async def test_giving_up_early_takes_back_what_is_queued() -> None:
    recogniser = PocketsphinxRecogniser()
    recogniser.pool = pool = WatchedPool(1)
    sentence = (await load_sound(sound()))[: 3 * 16_000]
    one_a_chunk = np.concatenate([sentence, np.zeros(4 * 16_000, np.int16)])
    hearing = await recogniser.recognise(np.tile(one_a_chunk, 40), Hints())
    assert (await anext(hearing.utterances)).text.startswith(" good morning")
    await hearing.utterances.aclose()
    assert len(pool.given) == 40
    # All but those that were decoded before it gave up.
    assert sum(job.cancelled() for job in pool.given) > 30
    recogniser.close()


def test_the_app_works_in_process_from_one_event_loop_after_another(tmp_path: Path) -> None:
    recogniser = PocketsphinxRecogniser(processes=1)
    app = create_app(Engine({"pocketsphinx": lambda: recogniser}))
    samples = decode_all(sound(), cap_ms=600_000, ffmpeg=find_ffmpeg())
    clip = write_wav(tmp_path / "clip.wav", samples[: 3 * 16_000]).read_bytes()

    async def ask() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine/v1") as http:
            form = {"model": "pocketsphinx"}
            answer = await http.post("/audio/transcriptions", data=form, files={"file": clip})
            return str(answer.json()["text"])

    try:
        assert asyncio.run(ask()).startswith("good morning")
        (pid,) = recogniser.pool.pids
        assert asyncio.run(ask()).startswith("good morning")
        assert recogniser.pool.pids == [pid], "the warm process served both"
    finally:
        recogniser.close()
