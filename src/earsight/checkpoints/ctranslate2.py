"""Reads a CTranslate2 model file (version 6) into named arrays, and names a Whisper model's as Transformers does."""

import struct
from pathlib import Path

import numpy as np

from earsight.errors import PartsError

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.offset = data, 0

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += struct.calcsize("<" + layout)
        return values

    def text(self) -> str:
        (length,) = self.take("H")  # counts the final NUL
        raw = self.data[self.offset : self.offset + length]
        self.offset += length
        return raw.rstrip(b"\0").decode()


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """CTranslate2 file -> {variable: array}, aliases resolved.

    Raises:
        PartsError: not a version 6 file, or bytes left over.
    """
    reader = _Reader(path.read_bytes())
    (version,) = reader.take("I")
    if version != 6:
        raise PartsError(f"{path.name}: CTranslate2 version {version}, expected 6; fetch the pinned file again")
    reader.text()  # the specification's name
    _revision, count = reader.take("II")
    variables = {}
    for _ in range(count):
        name = reader.text()
        (rank,) = reader.take("B")
        shape = reader.take("I" * rank)
        dtype, n_bytes = reader.take("BI")
        raw = reader.data[reader.offset : reader.offset + n_bytes]
        variables[name] = np.frombuffer(raw, dtype=DTYPES[dtype]).reshape(shape)
        reader.offset += n_bytes
    (n_aliases,) = reader.take("I")
    for _ in range(n_aliases):
        alias, target = reader.text(), reader.text()
        variables[alias] = variables[target]
    if reader.offset != len(reader.data):
        raise PartsError(
            f"{path.name}: {len(reader.data) - reader.offset} bytes left over; fetch the pinned file again"
        )
    return variables


def whisper_encoder_state(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{CTranslate2 name: array} -> {name in transformers' WhisperEncoder: array}."""
    state = {"embed_positions.weight": variables["encoder/position_encodings/encodings"]}
    for conv in ("conv1", "conv2"):
        state[f"{conv}.weight"] = variables[f"encoder/{conv}/weight"]
        state[f"{conv}.bias"] = variables[f"encoder/{conv}/bias"]
    _norm(state, "layer_norm", variables, "encoder/layer_norm")
    layer = 0
    while f"encoder/layer_{layer}/ffn/linear_0/weight" in variables:
        theirs, ours = f"encoder/layer_{layer}", f"layers.{layer}"
        # Query, key and value are stacked in that order; the key has no bias in Whisper (its third is zero).
        weights = np.split(variables[f"{theirs}/self_attention/linear_0/weight"], 3)
        biases = np.split(variables[f"{theirs}/self_attention/linear_0/bias"], 3)
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            state[f"{ours}.self_attn.{name}_proj.weight"] = weight
            if name != "k":
                state[f"{ours}.self_attn.{name}_proj.bias"] = bias
        for name, source in (
            ("self_attn.out_proj", "self_attention/linear_1"),
            ("fc1", "ffn/linear_0"),
            ("fc2", "ffn/linear_1"),
        ):
            state[f"{ours}.{name}.weight"] = variables[f"{theirs}/{source}/weight"]
            state[f"{ours}.{name}.bias"] = variables[f"{theirs}/{source}/bias"]
        _norm(state, f"{ours}.self_attn_layer_norm", variables, f"{theirs}/self_attention/layer_norm")
        _norm(state, f"{ours}.final_layer_norm", variables, f"{theirs}/ffn/layer_norm")
        layer += 1
    return state


def whisper_decoder_state(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{CTranslate2 name: array} -> {name in transformers' WhisperDecoder: array}."""
    state = {
        "embed_positions.weight": variables["decoder/position_encodings/encodings"],
        "embed_tokens.weight": variables["decoder/embeddings/weight"],
    }
    _norm(state, "layer_norm", variables, "decoder/layer_norm")
    layer = 0
    while f"decoder/layer_{layer}/ffn/linear_0/weight" in variables:
        theirs, ours = f"decoder/layer_{layer}", f"layers.{layer}"
        # Of its own words a layer asks with query, key and value in one matrix; of the sound with the query apart.
        for name, source, heads in (
            ("self_attn", "self_attention/linear_0", "qkv"),
            ("encoder_attn", "attention/linear_0", "q"),
            ("encoder_attn", "attention/linear_1", "kv"),
        ):
            for kind in ("weight", "bias"):
                split = np.split(variables[f"{theirs}/{source}/{kind}"], len(heads))
                for head, value in zip(heads, split, strict=True):
                    if (head, kind) != ("k", "bias"):  # the key has none in Whisper
                        state[f"{ours}.{name}.{head}_proj.{kind}"] = value
        for name, source in (
            ("self_attn.out_proj", "self_attention/linear_1"),
            ("encoder_attn.out_proj", "attention/linear_2"),
            ("fc1", "ffn/linear_0"),
            ("fc2", "ffn/linear_1"),
        ):
            state[f"{ours}.{name}.weight"] = variables[f"{theirs}/{source}/weight"]
            state[f"{ours}.{name}.bias"] = variables[f"{theirs}/{source}/bias"]
        _norm(state, f"{ours}.self_attn_layer_norm", variables, f"{theirs}/self_attention/layer_norm")
        _norm(state, f"{ours}.encoder_attn_layer_norm", variables, f"{theirs}/attention/layer_norm")
        _norm(state, f"{ours}.final_layer_norm", variables, f"{theirs}/ffn/layer_norm")
        layer += 1
    return state


def _norm(state: dict[str, np.ndarray], ours: str, variables: dict[str, np.ndarray], theirs: str) -> None:
    state[f"{ours}.weight"] = variables[f"{theirs}/gamma"]
    state[f"{ours}.bias"] = variables[f"{theirs}/beta"]
