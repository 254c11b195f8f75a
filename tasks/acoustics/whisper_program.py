"""The program of an aligner process with Whisper's weights: words and sound come in, times go out.

Whisper hears each clip of 29 s at most, roughly, and what it heard says which of the words are in it; then
these words are forced on the clip's sound (`align` of CTranslate2). So a text may lack what is said, and its
words are not drawn over what they do not stand for. This file is run by its path and imports nothing of ours.

The request is a line of JSON: ``files``, the parts of each of the model's files; ``sha256`` of those that are
pinned; ``language``, or null; ``early``, by how many frames these weights begin words too early; ``pieces``,
for each ``[first frame, one past the last, words]``; then 16 kHz mono 16-bit sound to the end. The answer is
JSON: for each piece, for each word ``[first frame, one past the last, mean log probability of its tokens]``,
100 frames a second, or null where it was not found; or null for all of a piece.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Placed = tuple[int, int, float]
Sound = NDArray[np.float32]

_RATE = 16_000
_FRAME = 160
# Whisper hears 30 s at a time; the library puts a little around the speech.
_LONGEST_S = 29.0
_CLIP_FRAMES = 2_950
_GAP_FRAMES = 300
_WINDOW_FRAMES = 3_000
_FRAMES_A_STEP = 2
# What is spoken in 30 s takes fewer; more than Whisper can read is no text of this sound.
_MOST_HEARD, _MOST_TOKENS = 200, 440
# Of the words, so many must be among those that were heard: less, and the text is of something else.
_LEAST_HEARD = 1 / 3
# Whisper gives a word the pause before it. Measured on 166 words: with these, 87 % of the words begin within
# 200 ms, without, 80 %. What is before that pause is the end of another word, and short: "26.02.2027" has
# pauses of its own.
_QUIET_DB, _PAUSE_FRAMES, _TAIL_FRAMES = 15.0, 12, 25
# Scripts that set no blanks between words: Thai to Burmese, Khmer, kana, ideographs.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_EDGES = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """A clip as the model has encoded it: its first frame, its length in frames, what was heard in it."""

    first: int
    frames: int
    encoded: Any
    heard: list[str]


class WhisperAligner:
    """Aligns words to parts of one sound."""

    def __init__(self, files: dict[str, bytes], language: str | None, early: int, sound: Sound) -> None:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - after what OpenMP reads is set

        self._whisper: Any = WhisperModel(
            "aligner", device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, files=files
        )
        self._sound = sound
        self._language = language
        self._early = early
        self._tokenizer: Any = None

    def align(self, words: Sequence[str], first: int, end: int) -> list[Placed | None] | None:
        """Align words to frames; None where they are not what is said there."""
        clips = [self._clip(*each) for each in clips_of(self._sound[first * _FRAME : end * _FRAME], first)]
        places = clips_of_words(words, [clip.heard for clip in clips])
        if places is None:
            return None
        found: list[Placed | None] = [None] * len(words)
        for number, clip in enumerate(clips):
            mine = [at for at, place in enumerate(places) if place == number]
            for at, placed in zip(mine, self._forced([words[at] for at in mine], clip), strict=True):
                found[at] = placed
        return found

    def _clip(self, first: int, end: int) -> EncodedClip:
        from faster_whisper.audio import pad_or_trim  # noqa: PLC0415

        whisper = self._whisper
        features = whisper.feature_extractor(self._sound[first * _FRAME : end * _FRAME])
        encoded = whisper.encode(pad_or_trim(features[..., :_WINDOW_FRAMES]))
        if self._tokenizer is None:
            self._tokenizer = self._of_language(encoded)
        start = [*self._tokenizer.sot_sequence, self._tokenizer.no_timestamps]
        said = whisper.model.generate(
            encoded, [start], beam_size=1, max_length=len(start) + _MOST_HEARD, suppress_blank=True
        )
        heard = tokens_of(self._tokenizer.decode(said[0].sequences_ids[0]))
        return EncodedClip(first, min(end - first, _WINDOW_FRAMES), encoded, heard)

    def _of_language(self, encoded: Any) -> Any:
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415

        whisper = self._whisper
        many = whisper.model.is_multilingual
        language = self._language
        if many and language is None:
            language = whisper.model.detect_language(encoded)[0][0][0].strip("<|>")
        return Tokenizer(whisper.hf_tokenizer, many, task="transcribe", language=language or "en")

    def _forced(self, words: Sequence[str], clip: EncodedClip) -> list[Placed | None]:
        """Force words on a clip."""
        tokens, spans = self._tokens(words)
        if not tokens or len(tokens) > _MOST_TOKENS:
            return [None] * len(words)
        aligned = self._whisper.model.align(
            clip.encoded, self._tokenizer.sot_sequence, [tokens], clip.frames, median_filter_width=7
        )[0]
        steps = _steps(aligned.alignments, len(tokens) + 1)
        loud = loudness(self._sound[clip.first * _FRAME : (clip.first + clip.frames) * _FRAME])
        return [
            self._placed(span, steps, aligned.text_token_probs, loud, clip) if span else None
            for span in spans
        ]

    def _placed(
        self,
        span: tuple[int, int],
        steps: Sequence[int],
        probabilities: Sequence[float],
        loud: NDArray[np.bool_],
        clip: EncodedClip,
    ) -> Placed:
        first, end = (steps[at] * _FRAMES_A_STEP for at in span)
        end = min(end, clip.frames)
        first, end = sounding(loud, max(0, min(first + self._early, end - 1)), end)
        scores = [math.log(max(each, 1e-9)) for each in probabilities[slice(*span)]]
        return clip.first + first, clip.first + end, round(sum(scores) / len(scores), 2)

    def _tokens(self, words: Sequence[str]) -> tuple[list[int], list[tuple[int, int] | None]]:
        """Return the tokens of words, and which are those of each without the signs after it."""
        tokens: list[int] = []
        spans: list[tuple[int, int] | None] = []
        before = ""
        for word in words:
            matched = _EDGES.fullmatch(word)
            said, after = (word, "") if matched is None else (matched[1] + matched[2], matched[3])
            apart = not (_is_unspaced(word) and _is_unspaced(before))
            core = self._tokenizer.encode((" " if apart else "") + said) if said else []
            spans.append((len(tokens), len(tokens) + len(core)) if tokens_of(said) and core else None)
            tokens += [*core, *(self._tokenizer.encode(after) if after else [])]
            before = word
        return tokens, spans


def _steps(alignments: Sequence[tuple[int, int]], count: int) -> list[int]:
    """Return at which step each token begins, and the one past the last."""
    steps = [0] * count
    known = -1
    last = 0
    for token, step in alignments:
        if token != known and token < count:
            steps[known + 1 : token + 1] = [step] * (token - known)
            known = token
        last = step
    steps[known + 1 :] = [last + 1] * (count - known - 1)
    return steps


def clips_of(sound: Sound, first: int) -> Iterator[tuple[int, int]]:
    """Yield (first frame, one past the last) of clips in which somebody speaks."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415

    options = VadOptions(max_speech_duration_s=_LONGEST_S, min_silence_duration_ms=300, speech_pad_ms=200)
    joined: list[tuple[int, int]] = []
    for each in get_speech_timestamps(sound, options):
        start, end = each["start"] // _FRAME, each["end"] // _FRAME
        if joined and start - joined[-1][1] <= _GAP_FRAMES and end - joined[-1][0] <= _CLIP_FRAMES:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    for start, end in joined:
        yield first + start, first + end


def clips_of_words(words: Sequence[str], heard: Sequence[Sequence[str]]) -> list[int] | None:
    """Say in which clip each word is said.

    Args:
        words: as written, in order.
        heard: the tokens that were heard in each clip.

    Returns:
        The number of a clip for each word, never going back; None where what was heard is another text.
    """
    mine = [(token, at) for at, word in enumerate(words) for token in tokens_of(word)]
    theirs = [(token, number) for number, tokens in enumerate(heard) for token in tokens]
    matcher = SequenceMatcher(None, [each[0] for each in mine], [each[0] for each in theirs], autojunk=False)
    blocks = matcher.get_matching_blocks()
    if not mine or sum(block.size for block in blocks) < _LEAST_HEARD * len(mine):
        return None
    places = [0] * len(words)
    for at, there in _matched(blocks):
        places[mine[at][1]] = theirs[there][1]
    return _never_back(places, {at for _, at in mine})


def _matched(blocks: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Yield (token of the text, token that was heard): those in between in step with each other."""
    at = there = 0
    for block in blocks:
        extra, theirs = block.a - at, block.b - there
        for number in range(extra):
            # Nothing was heard between: it goes to the one before.
            yield at + number, there + number * theirs // extra if theirs else max(0, there - 1)
        for number in range(block.size):
            yield block.a + number, block.b + number
        at, there = block.a + block.size, block.b + block.size


def _never_back(places: Sequence[int], spoken: set[int]) -> list[int]:
    """Let no word be in an earlier clip than the one before; signs are where the word before them is."""
    kept: list[int] = []
    for at, place in enumerate(places):
        before = kept[-1] if kept else 0
        kept.append(max(before, place) if at in spoken else before)
    return kept


def tokens_of(text: str) -> list[str]:
    """Return what of a text is compared: words in lower case, characters where a script has no blanks."""
    return _TOKEN.findall(text.casefold())


def _is_unspaced(word: str) -> bool:
    return re.search(f"[{_UNSPACED}]", word) is not None


def loudness(sound: Sound) -> NDArray[np.bool_]:
    """Tell of each frame whether it is nearly as loud as the loudest words are."""
    frames = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return np.zeros(0, np.bool_)
    db = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)
    heard: NDArray[np.bool_] = db > np.percentile(db, 95) - _QUIET_DB
    return heard


def sounding(loud: NDArray[np.bool_], first: int, end: int) -> tuple[int, int]:
    """Take the quiet off both ends of a word, and a pause soon after it begins with what is before that."""
    inside = np.flatnonzero(loud[first:end])
    if not inside.size:
        return first, max(first, end)
    gaps = np.diff(inside[: np.searchsorted(inside, _TAIL_FRAMES) + 1])
    began = int(inside[int(np.argmax(gaps)) + 1] if gaps.size and gaps.max() > _PAUSE_FRAMES else inside[0])
    return first + began, first + int(inside[-1]) + 1


def _read(files: Mapping[str, Sequence[str]], sha256: Mapping[str, str]) -> dict[str, bytes]:
    read = {name: b"".join(Path(part).read_bytes() for part in parts) for name, parts in files.items()}
    for name, expected in sha256.items():
        if hashlib.sha256(read[name]).hexdigest() != expected:
            raise ValueError(f"{name} is not the file that it should be: its sha256 differs")
    return read


def main() -> None:
    """Answer one request."""
    os.nice(5)
    # OpenMP reads these when it is loaded. Threads that wait spinning take the processor from others.
    os.environ.update(OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="0", OMP_NUM_THREADS="1")
    request = json.loads(sys.stdin.buffer.readline())
    sound = np.frombuffer(sys.stdin.buffer.read(), np.int16).astype(np.float32) / np.float32(32768)
    files = _read(request["files"], request["sha256"])
    aligner = WhisperAligner(files, request["language"], request["early"], sound)
    found = [aligner.align(words, first, end) for first, end, words in request["pieces"]]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
