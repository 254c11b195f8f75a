"""Tiny models in the shapes that sherpa-onnx takes: loud is one speaker, soft another, and voices are tones.

The segmentation gives for each frame of 10 s the classes of pyannote's powerset: silence, speaker 1 where it
is soft, speaker 2 where it is loud. The embedding is the mean of the spectrum, so that two tones differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FIELD, _SHIFT, _CLASSES = 991, 270, 7
SOFT, LOUD = 0.05, 0.5
"""Mean absolute levels of the two, about."""


def write_models(folder: Path) -> Path:
    """Write both models where they are looked for, and return the folder."""
    place = folder / "sherpa-onnx"
    place.mkdir(parents=True)
    onnx.save(_segmentation(), place / "segmentation.onnx")
    onnx.save(_embedding(), place / "embedding.onnx")
    return folder


def _segmentation() -> Any:
    # Of silence 0, of the soft speaker e - 0.01, of the loud one 5e - 0.81: they cross at 0.01 and at 0.2.
    slopes = np.array([[0, 1, 5, 0, 0, 0, 0]], np.float32)
    offsets = np.array([0, -0.01, -0.81, -9, -9, -9, -9], np.float32)
    nodes = [
        helper.make_node("Abs", ["x"], ["level"]),
        helper.make_node("AveragePool", ["level"], ["pooled"], kernel_shape=[_FIELD], strides=[_SHIFT]),
        helper.make_node("Transpose", ["pooled"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "slopes"], ["sloped"]),
        helper.make_node("Add", ["sloped", "offsets"], ["y"]),
    ]
    weights = [numpy_helper.from_array(slopes, "slopes"), numpy_helper.from_array(offsets, "offsets")]
    facts = {
        "model_type": "pyannote-segmentation-3.0",
        "sample_rate": 16_000,
        "window_size": 160_000,
        "receptive_field_size": _FIELD,
        "receptive_field_shift": _SHIFT,
        "num_speakers": 3,
        "powerset_max_classes": 2,
        "num_classes": _CLASSES,
    }
    return _model(nodes, ("x", ["N", 1, "T"]), ("y", ["N", "F", _CLASSES]), weights, facts)


def _embedding() -> Any:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["y"], axis=1),
    ]
    facts = {
        "framework": "wespeaker",
        "language": "English",
        "output_dim": 80,
        "sample_rate": 16_000,
        "normalize_samples": 1,
        "feature_normalize_type": "",
    }
    return _model(nodes, ("x", ["N", "T", 80]), ("y", ["N", 80]), [], facts)


def _model(
    nodes: list[Any],
    takes: tuple[str, list[Any]],
    gives: tuple[str, list[Any]],
    weights: list[Any],
    facts: Mapping[str, object],
) -> Any:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(takes[0], TensorProto.FLOAT, takes[1])],
        [helper.make_tensor_value_info(gives[0], TensorProto.FLOAT, gives[1])],
        weights,
    )
    # The version before axes became an input.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, str(value)
    onnx.checker.check_model(model)
    return model
