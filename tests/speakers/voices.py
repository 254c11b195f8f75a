"""How well voices are told apart by the encoder that is built in: `python -m tests.speakers voices`."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.voice_clustering import HeardVoices, VoiceRule
from stenoflow.tasks.acoustics.voice_encoder import VoiceEncoder
from stenoflow.tasks.acoustics.voice_listener import VoiceListener
from stenoflow.tasks.acoustics.voice_models import GE2E, find_model
from stenoflow.tasks.transcript.speakers import Turn
from stenoflow.tasks.transcript.types import Region
from tests.instrument.tones import Samples
from tests.speakers.diarization_error import DiarizationError, diarization_error
from tests.speakers.others import call, demo
from tests.voices import PEOPLE, Talk, levelled, talk

Floats = NDArray[np.float32]

_RATE = 16_000
_COLLAR_MS = 250
_PEOPLE = list(PEOPLE)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the encoder heard of a recording: listened to once, clustered by many rules."""

    name: str
    talk: Talk
    parts: Sequence[tuple[Region, bool]]
    embeddings: Floats
    cpu_s: float

    def told(self, rule: VoiceRule) -> list[Turn]:
        """Return the turns by a rule."""
        heard = HeardVoices(rule)
        for (part, clear), embedding in zip(self.parts, self.embeddings, strict=True):
            heard.add(part, embedding, clear=clear)
        return [each.scored.turn for each in heard.tell_apart()]


class _Recorder(HeardVoices):
    """Keeps what is added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[Region, bool]] = []
        self.vectors: list[Floats] = []

    def add(self, part: Region, embedding: Floats, *, clear: bool = True) -> None:
        self.added.append((part, clear))
        self.vectors.append(embedding)


def main(seeds: int) -> None:
    """Measure, on ``seeds`` talks of each kind."""
    encoder = VoiceEncoder.read(find_model(GE2E, Path("nowhere")).paths["pretrained.pt"])
    _tell(
        f"{'talk':34} {'missed':>7} {'false':>6} {'wrong':>6} {'DER':>6} {'collar':>6} {'loudest':>7} found"
    )
    heard: list[Heard] = []
    for name, made in _talks(seeds):
        heard.append(_listen(encoder, name, made))
        _tell_scores(heard[-1])
    seconds = sum(each.talk.duration_ms for each in heard) / 1000
    _tell(f"CPU s an hour: {3600 * sum(each.cpu_s for each in heard) / seconds:.0f} to listen")
    _tell("\nmeans over all talks, and how they move with each threshold")
    for name, rule in _rules():
        scores = [_score(each, each.told(rule)) for each in heard]
        right = sum(each.speakers == each.found for each in scores)
        _tell(
            f"{name:28} wrong {fmean(each.confused for each in scores):6.1%}"
            f"  DER {fmean(each.rate for each in scores):6.1%}  right number {right}/{len(scores)}"
        )
    _same_voice(encoder)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    _tell(f"peak memory of the bench {peak_mb} MB")


def _talks(seeds: int) -> Iterator[tuple[str, Talk]]:
    for seed in range(100, 100 + seeds):
        for count in range(1, 7):
            people = [_PEOPLE[(seed * 5 + 2 * number) % len(_PEOPLE)] for number in range(count)]
            yield f"{count} voices, seed {seed}", talk(people, 50 * count, seed)
        people = [_PEOPLE[(seed * 7 + 4 * number) % len(_PEOPLE)] for number in range(4)]
        yield f"4 voices, shares 20:4:2:1, seed {seed}", talk(people, 240, seed, shares=[20, 4, 2, 1])
        yield f"4 voices, noise 15 dB, seed {seed}", talk(people, 180, seed, noise_db=15)
        yield f"4 voices, babble 15 dB, seed {seed}", talk(people, 180, seed, babble_db=15)
        yield f"3 voices, turns of 0.6-2 s, seed {seed}", talk(people[:3], 60, seed, lengths=(0.6, 2))
        yield f"3 voices, a third at once, seed {seed}", talk(people[:3], 120, seed, overlap=1 / 3)
        yield f"telephone, 2 voices, seed {seed}", talk(people[:2], 90, seed, overlap=0.1, telephone=True)
    # Nobody chose anything on these.
    yield "the demo, 3 voices of flite", demo()
    yield "a call, both channels mixed", call("g-two_channel_16k.wav")
    yield "two voices at once, mixed", call("sb-two-speakers-stereo.wav")


def _listen(encoder: VoiceEncoder, name: str, made: Talk) -> Heard:
    recorder = _Recorder()
    listener = VoiceListener(encoder, recorder)
    began = time.process_time()
    for first in range(0, made.sound.size, _RATE):
        listener.add(made.sound[first : first + _RATE])
    listener.finish()
    return Heard(name, made, recorder.added, np.stack(recorder.vectors), time.process_time() - began)


def _score(heard: Heard, turns: Sequence[Turn], collar_ms: int = 0) -> DiarizationError:
    return diarization_error(heard.talk.spoken, turns, heard.talk.duration_ms, collar_ms)


def _tell_scores(heard: Heard) -> None:
    turns = heard.told(VoiceRule())
    score, collared = _score(heard, turns), _score(heard, turns, _COLLAR_MS)
    # Who speaks most is given all that was heard of anybody.
    alone = [Turn(each.start_ms, each.end_ms, "A") for each in turns]
    loudest = _score(heard, alone)
    _tell(
        f"{heard.name:34} {score.missed:7.1%} {score.false_alarm:6.1%} {score.confused:6.1%}"
        f" {score.rate:6.1%} {collared.rate:6.1%} {loudest.rate:7.1%} {score.found} of {score.speakers}"
    )


def _rules() -> Iterator[tuple[str, VoiceRule]]:
    usual = VoiceRule()
    yield "as it is", usual
    changed: dict[str, Callable[[float], VoiceRule]] = {
        "same": lambda factor: replace(usual, same=usual.same * factor),
        "same, as a distance": lambda factor: replace(usual, same=1 - (1 - usual.same) * factor),
        "same_mean": lambda factor: replace(usual, same_mean=usual.same_mean * factor),
        "same_mean, as a distance": lambda factor: replace(
            usual, same_mean=1 - (1 - usual.same_mean) * factor
        ),
        "more": lambda factor: replace(usual, more=usual.more * factor),
        "long_ms": lambda factor: replace(usual, long_ms=round(usual.long_ms * factor)),
        "long_share": lambda factor: replace(usual, long_share=usual.long_share * factor),
        "sure": lambda factor: replace(usual, sure=usual.sure * factor),
        "least_ms": lambda factor: replace(usual, least_ms=round(usual.least_ms * factor)),
        "pause_ms": lambda factor: replace(
            usual, smoothing=replace(usual.smoothing, pause_ms=round(usual.smoothing.pause_ms * factor))
        ),
        "shortest_ms": lambda factor: replace(
            usual, smoothing=replace(usual.smoothing, shortest_ms=round(usual.smoothing.shortest_ms * factor))
        ),
        "join_ms": lambda factor: replace(
            usual, smoothing=replace(usual.smoothing, join_ms=round(usual.smoothing.join_ms * factor))
        ),
        "change of speakers": lambda factor: replace(
            usual, smoothing=replace(usual.smoothing, change=usual.smoothing.change * factor)
        ),
    }
    for name, made in changed.items():
        for factor in (0.9, 1.1):
            yield f"{name} x {factor}", made(factor)


def _same_voice(encoder: VoiceEncoder) -> None:
    """Say how often a voice is known again in another clip, over all pairs of clips from 2 s."""
    prints: list[tuple[str, Floats]] = []
    for name, files in PEOPLE.items():
        sounds = [levelled(file) for file in files]
        halves = [part for sound in sounds for part in _halved(sound)]
        prints += [(name, _voiceprint(encoder, half)) for half in halves]
    pairs = [
        (one_name == other_name, float(one @ other))
        for number, (one_name, one) in enumerate(prints)
        for other_name, other in prints[:number]
    ]
    _tell(f"\nthe same voice in another clip: {len(prints)} clips, {len(pairs)} pairs")
    same = [alike for is_same, alike in pairs if is_same]
    others = [alike for is_same, alike in pairs if not is_same]
    for threshold in (0.65, 0.70, 0.75, 0.80, 0.85):
        rejected = sum(alike < threshold for alike in same) / len(same)
        accepted = sum(alike >= threshold for alike in others) / len(others)
        _tell(f"from {threshold:.2f} on: false rejects {rejected:6.1%}, false accepts {accepted:6.1%}")


def _halved(sound: Samples) -> list[Samples]:
    """Cut a long clip into pieces of 6 s."""
    pieces = [sound[first : first + 6 * _RATE] for first in range(0, sound.size, 6 * _RATE)]
    return [piece for piece in pieces if piece.size >= 2 * _RATE]


def _voiceprint(encoder: VoiceEncoder, sound: Samples) -> Floats:
    recorder = _Recorder()
    listener = VoiceListener(encoder, recorder)
    listener.add(sound)
    listener.finish()
    mean = np.mean(recorder.vectors, axis=0) if recorder.vectors else np.zeros(256, np.float32)
    unit: Floats = mean / max(1e-9, float(np.linalg.norm(mean)))
    return unit


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
