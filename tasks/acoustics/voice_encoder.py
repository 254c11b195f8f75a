"""Embeddings of voices by GE2E, the encoder of Resemblyzer, computed with numpy.

The weights come from a wheel of other people's, in a file that PyTorch pickled. It is never unpickled: its
sha256 is known, and with it where in the file each matrix lies, so that they are read as plain numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.transcript.timecode import SAMPLE_RATE

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

SHA256: Final = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
SIZE: Final = 256
"""Numbers in an embedding."""

_FFT, _HOP, _MELS = 400, 160, 40
_HIDDEN, _LAYERS = 256, 3
# In the file with that hash: bytes before the numbers of the LSTM, and of the layer behind it.
_LSTM_AT, _LINEAR_AT, _BIAS_AT = 269_883, 7_731, 6_699
# Where each matrix of the LSTM begins among its numbers, and how it lies there.
_MATRICES: Final = (
    ((0, (1024, 40)), (40_960, (1024, 256)), 1_351_680, 1_352_704),
    ((303_104, (1024, 256)), (565_248, (1024, 256)), 1_353_728, 1_354_752),
    ((827_392, (1024, 256)), (1_089_536, (1024, 256)), 1_355_776, 1_356_800),
)
# It was trained with speech at this level.
_LEVEL_DB = -30.0
_SILENT_RMS = 1e-5
# Windows computed at once: their memory is bounded, and the matrices are large enough to be fast.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Layer:
    from_input: Floats
    from_hidden: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class VoiceEncoder:
    """The encoder with its weights."""

    layers: tuple[_Layer, ...]
    linear: Floats
    bias: Floats

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the weights.

        Raises:
            ModelUnavailableError: the file cannot be read, or is not the one whose layout is known.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelUnavailableError(f"the voice encoder {path} cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise ModelUnavailableError(
                f"{path} is not the voice encoder that it should be: its sha256 differs",
                "fetch it again: stenoflow models --fetch diarization",
            )
        layers = []
        for (input_at, input_shape), (hidden_at, hidden_shape), *biases in _MATRICES:
            first, second = (_numbers(data, _LSTM_AT + 4 * at, (1024,)) for at in biases)
            from_input = _numbers(data, _LSTM_AT + 4 * input_at, input_shape)
            from_hidden = _numbers(data, _LSTM_AT + 4 * hidden_at, hidden_shape)
            layers.append(
                _Layer(
                    np.ascontiguousarray(from_input.T), np.ascontiguousarray(from_hidden.T), first + second
                )
            )
        linear = _numbers(data, _LINEAR_AT, (SIZE, _HIDDEN))
        return cls(tuple(layers), np.ascontiguousarray(linear.T), _numbers(data, _BIAS_AT, (SIZE,)))

    def embed(self, windows: Sequence[Samples]) -> Floats:
        """Return an embedding of length 1 for each window of 16 kHz sound, of any length from 25 ms."""
        found = np.zeros((len(windows), SIZE), np.float32)
        by_length: dict[int, list[int]] = {}
        for number, window in enumerate(windows):
            by_length.setdefault(window.size, []).append(number)
        for numbers in by_length.values():
            for first in range(0, len(numbers), _BATCH):
                part = numbers[first : first + _BATCH]
                found[part] = self._forward(np.stack([mel_spectrum(windows[number]) for number in part]))
        return found

    def _forward(self, mels: Floats) -> Floats:
        """Run the network over spectra of one length, shape (windows, frames, mels)."""
        sequence = np.ascontiguousarray(mels.transpose(1, 0, 2))
        for layer in self.layers:
            sequence = _lstm(sequence, layer)
        embedded = np.maximum(sequence[-1] @ self.linear + self.bias, 0)
        length = np.linalg.norm(embedded, axis=1, keepdims=True)
        unit: Floats = embedded / np.maximum(length, 1e-9)
        return unit


def _numbers(data: bytes, at: int, shape: tuple[int, ...]) -> Floats:
    count = int(np.prod(shape))
    return np.frombuffer(data, "<f4", count, at).reshape(shape).astype(np.float32)


def _lstm(sequence: Floats, layer: _Layer) -> Floats:
    """Run one layer over a sequence, shape (frames, windows, features); returns all hidden states."""
    frames, windows, features = sequence.shape
    gates = (sequence.reshape(-1, features) @ layer.from_input).reshape(frames, windows, -1) + layer.bias
    hidden = np.zeros((windows, _HIDDEN), np.float32)
    cell = np.zeros_like(hidden)
    states = np.empty((frames, windows, _HIDDEN), np.float32)
    for frame in range(frames):
        gate = gates[frame]
        gate += hidden @ layer.from_hidden
        let_in, forget, new, let_out = (
            gate[:, first : first + _HIDDEN] for first in range(0, 4 * _HIDDEN, _HIDDEN)
        )
        cell = _sigmoid(forget) * cell + _sigmoid(let_in) * np.tanh(new)
        hidden = _sigmoid(let_out) * np.tanh(cell)
        states[frame] = hidden
    return states


def _sigmoid(values: Floats) -> Floats:
    squashed: Floats = np.float32(0.5) * np.tanh(np.float32(0.5) * values) + np.float32(0.5)
    return squashed


def mel_spectrum(sound: Samples) -> Floats:
    """Return the power of each band of a sound brought to the encoder's level, shape (frames, bands)."""
    levelled = sound.astype(np.float32) / 32768
    rms = float(np.sqrt(np.mean(np.square(levelled)))) if levelled.size else 0.0
    if rms > _SILENT_RMS:
        levelled *= 10 ** (_LEVEL_DB / 20) / rms
    padded = np.pad(levelled, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _HANN, axis=1)))
    mels: Floats = (power @ _FILTERS).astype(np.float32)
    return mels


def _mel_filters() -> Floats:
    """Return the bands of Slaney's scale, of equal area, as librosa makes them."""
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), _MELS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    bands = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    filters: Floats = bands.astype(np.float32)
    return filters


# Slaney's scale: even below 1 kHz, in steps of a constant ratio above.
_EVEN_HZ, _BREAK_HZ = 200 / 3, 1000.0
_STEP = float(np.log(6.4) / 27)


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _EVEN_HZ
    return _BREAK_HZ / _EVEN_HZ + float(np.log(hertz / _BREAK_HZ)) / _STEP


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mel - _BREAK_HZ / _EVEN_HZ
    hertz: NDArray[np.float64] = np.where(
        above < 0, mel * _EVEN_HZ, _BREAK_HZ * np.exp(np.maximum(above, 0) * _STEP)
    )
    return hertz


_HANN: Final = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
_FILTERS: Final = _mel_filters()
