"""A Whisper model of random weights, in faster-whisper's own format.

It has everything that the real ones have, vocabulary and special tokens included, and knows nothing:
what it says is noise. Enough to run every line between us and CTranslate2, without a download.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from stenoflow.tasks.transcript.languages import NAME_OF

_WIDTH = 16
_HEADS = 2
_LAYERS = 1
_MELS = 80
_WINDOW_FRAMES = 1500
_LONGEST_TEXT = 448
_PLAIN_TOKENS = 50_257
_SIZE = 51_865

# The order of the languages is of no matter to a model that knows none.
_LANGUAGES = [f"<|{code}|>" for code in NAME_OF if code != "yue"]
_SPECIALS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *_LANGUAGES,
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nocaptions|>",
    "<|notimestamps|>",
    *(f"<|{index * 0.02:.2f}|>" for index in range(1501)),
]


def build(folder: Path) -> Path:
    """Write the model into ``folder`` (about 4 MB) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _vocabulary()
    spec = _spec(np.random.default_rng(7))
    spec.register_vocabulary(tokens)
    spec.config.lang_ids = [tokens.index(language) for language in _LANGUAGES]
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.alignment_heads = [(0, 0), (0, 1)]
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    return folder


def _vocabulary() -> list[str]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = (f"Ġword{index}" for index in range(_PLAIN_TOKENS))
    plain = list(chain(letters, words))[: _PLAIN_TOKENS - 1]
    # CTranslate2 knows a multilingual vocabulary by its empty token, the last of the plain ones.
    vocabulary = [*plain, "", *_SPECIALS]
    assert len(vocabulary) == _SIZE
    return vocabulary


def _tokenizer(tokens: list[str]) -> tokenizers.Tokenizer:
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_SPECIALS)
    return tokenizer


def _spec(random: np.random.Generator) -> Any:
    def weights(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return random.normal(0, 0.5, shape).astype(np.float32)

    def linear(spec: Any, size_out: int, size_in: int) -> None:
        spec.weight, spec.bias = weights(size_out, size_in), weights(size_out)

    def norm(spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)

    def self_attention(spec: Any) -> None:
        norm(spec.layer_norm)
        linear(spec.linear[0], 3 * _WIDTH, _WIDTH)
        linear(spec.linear[1], _WIDTH, _WIDTH)

    def cross_attention(spec: Any) -> None:
        norm(spec.layer_norm)
        linear(spec.linear[0], _WIDTH, _WIDTH)
        linear(spec.linear[1], 2 * _WIDTH, _WIDTH)
        linear(spec.linear[2], _WIDTH, _WIDTH)

    def feed_forward(spec: Any) -> None:
        norm(spec.layer_norm)
        linear(spec.linear_0, 4 * _WIDTH, _WIDTH)
        linear(spec.linear_1, _WIDTH, 4 * _WIDTH)

    spec = ctranslate2.specs.WhisperSpec(_LAYERS, _HEADS, _LAYERS, _HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights(_WIDTH, _MELS, 3), weights(_WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = weights(_WIDTH, _WIDTH, 3), weights(_WIDTH)
    encoder.position_encodings.encodings = weights(_WINDOW_FRAMES, _WIDTH)
    decoder.position_encodings.encodings = weights(_LONGEST_TEXT, _WIDTH)
    decoder.embeddings.weight = weights(_SIZE, _WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    # Ends what it says after a few words rather than at its limit.
    decoder.projection.bias = np.zeros(_SIZE, np.float32)
    decoder.projection.bias[_PLAIN_TOKENS] = 4.0
    for part in (encoder, decoder):
        norm(part.layer_norm)
        for layer in part.layer:
            self_attention(layer.self_attention)
            feed_forward(layer.ffn)
    for layer in decoder.layer:
        cross_attention(layer.attention)
    return spec
