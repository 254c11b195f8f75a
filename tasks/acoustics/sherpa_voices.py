"""Telling voices apart by sherpa-onnx: it diarizes some minutes at a time, whose speakers are tied together.

sherpa-onnx takes a recording whole, and clusters by the square of its length. So it is given pieces, and who
of one piece is who of another is told by the embeddings of what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.acoustics.voice_clustering import SpeakerLimits, VoiceTurn, clustered, unit
from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.transcript.clustering import ClusterRule, cluster
from stenoflow.tasks.transcript.speakers import Turn, letters
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE, samples_to_ms
from stenoflow.tasks.transcript.voice_turns import ScoredTurn

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

_PIECE_SAMPLES = 300 * SAMPLE_RATE
# sherpa-onnx's own default: above this distance, clusters of one piece are two speakers.
_DISTANCE = 0.5
# As alike are speakers of two pieces who are one.
_SAME = 0.5
# A speaker's voice is taken from what lasts as long; from less, where there is no more.
_CLEAR_MS = 1_000


@dataclass(slots=True)
class SherpaVoices:
    """Takes a recording block by block, and holds no more of its sound than a piece."""

    segmentation: Path
    embedding: Path
    limits: SpeakerLimits = field(default_factory=SpeakerLimits)
    _blocks: list[Samples] = field(default_factory=list)
    _held: int = 0
    _start: int = 0
    _turns: list[tuple[Turn, Floats]] = field(default_factory=list)
    _engine: tuple[Any, Any] | None = None

    def add(self, block: Samples) -> None:
        """Take the next samples, 16 kHz mono."""
        while block.size:
            part = block[: _PIECE_SAMPLES - self._held]
            self._blocks.append(part)
            self._held += part.size
            block = block[part.size :]
            if self._held == _PIECE_SAMPLES:
                self._diarize()

    def tell_apart(self) -> list[VoiceTurn]:
        """Say who speaks when, once all samples were given; speakers are called A, B, … in order.

        Raises:
            ModelUnavailableError: sherpa-onnx does not take the models.
        """
        self._diarize()
        if not self._turns:
            return []
        # Of each piece, a speaker by himself: "12 3" is speaker 3 of piece 12.
        local = list(dict.fromkeys(turn.speaker for turn, _ in self._turns))
        weights = [_weight(turn for turn, _ in self._turns if turn.speaker == each) for each in local]
        means = np.stack([self._mean(each) for each in local])
        rule = ClusterRule(_SAME, self.limits.at_least, self.limits.at_most)
        numbers = dict(zip(local, cluster(_likeness(local, means), weights, rule), strict=True))
        voices, _ = clustered(means, weights, [numbers[each] for each in local])
        return list(_named(self._turns, numbers, unit(voices)))

    def _diarize(self) -> None:
        """Tell apart the voices of the piece that is held, and let go of it."""
        if not self._held:
            return
        sound: Floats = np.concatenate(self._blocks).astype(np.float32) / np.float32(32768)
        diarization, extractor = self._loaded()
        origin_ms, piece = samples_to_ms(self._start), self._start // _PIECE_SAMPLES
        for each in diarization.process(sound).sort_by_start_time():
            first, end = max(0, round(each.start * SAMPLE_RATE)), round(each.end * SAMPLE_RATE)
            said = sound[first:end]
            if not said.size:
                continue
            turn = Turn(
                origin_ms + samples_to_ms(first),
                origin_ms + samples_to_ms(first + said.size),
                f"{piece} {each.speaker}",
            )
            self._turns.append((turn, _embedded(extractor, said)))
        self._start += self._held
        self._blocks, self._held = [], 0

    def _loaded(self) -> tuple[Any, Any]:
        if self._engine is None:
            self._engine = _load(self.segmentation, self.embedding, self.limits)
        return self._engine

    def _mean(self, speaker: str) -> Floats:
        said = [(turn, voice) for turn, voice in self._turns if turn.speaker == speaker]
        clear = [each for each in said if each[0].end_ms - each[0].start_ms >= _CLEAR_MS] or said
        total: Floats = np.sum([voice * (turn.end_ms - turn.start_ms) for turn, voice in clear], axis=0)
        mean: Floats = unit(total[None])[0]
        return mean


def _load(segmentation: Path, embedding: Path, limits: SpeakerLimits) -> tuple[Any, Any]:
    import sherpa_onnx  # noqa: PLC0415 - an extra

    for path in (segmentation, embedding):
        if not path.is_file():
            raise ModelUnavailableError(f"there is no model {path}")
    clusters = limits.at_least if limits.at_least == limits.at_most else -1
    embedder = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(embedding), num_threads=1)
    config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
            pyannote=sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(segmentation)),
            num_threads=1,
        ),
        embedding=embedder,
        clustering=sherpa_onnx.FastClusteringConfig(num_clusters=clusters, threshold=_DISTANCE),
    )
    try:
        return sherpa_onnx.OfflineSpeakerDiarization(config), sherpa_onnx.SpeakerEmbeddingExtractor(embedder)
    except Exception as error:  # its errors and onnxruntime's share no base
        raise ModelUnavailableError(f"sherpa-onnx does not take its models: {error}") from error


def _embedded(extractor: Any, said: Floats) -> Floats:
    stream = extractor.create_stream()
    stream.accept_waveform(SAMPLE_RATE, said)
    stream.input_finished()
    if not extractor.is_ready(stream):
        return np.zeros(extractor.dim, np.float32)
    voice: Floats = unit(np.array([extractor.compute(stream)], np.float32))[0]
    return voice


def _weight(turns: Iterable[Turn]) -> int:
    return max(1, sum(turn.end_ms - turn.start_ms for turn in turns))


def _likeness(local: Sequence[str], means: Floats) -> list[list[float]]:
    """Say how alike speakers are; two of one piece were told apart there, and stay so."""
    pieces = np.array([int(each.split()[0]) for each in local])
    alike = means @ means.T
    alike[pieces[:, None] == pieces[None]] = -1.0
    rows: list[list[float]] = alike.tolist()
    return rows


def _named(
    turns: Sequence[tuple[Turn, Floats]], numbers: dict[str, int], voices: Floats
) -> Iterator[VoiceTurn]:
    names: dict[int, str] = {}
    for turn, voice in sorted(turns, key=lambda each: (each[0].start_ms, each[0].end_ms)):
        number = numbers[turn.speaker]
        name = names.setdefault(number, letters(len(names)))
        score = round(min(1.0, max(0.0, float(voice @ voices[number]))), 3)
        yield VoiceTurn(ScoredTurn(Turn(turn.start_ms, turn.end_ms, name), score), voice)
