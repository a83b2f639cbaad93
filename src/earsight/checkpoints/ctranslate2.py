"""Reads a CTranslate2 model file (version 6) into named arrays, and names a Whisper model's as Transformers does."""

import struct
from pathlib import Path

import numpy as np

from earsight.errors import PartsError

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


KINDS = ("weight", "bias")


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


# Matrices of a layer that hold several stacked, and which; the key has no bias in Whisper (its third is zero).
STACKED = {
    "encoder": (("self_attn", "self_attention/linear_0", "qkv"),),
    "decoder": (
        ("self_attn", "self_attention/linear_0", "qkv"),
        ("encoder_attn", "attention/linear_0", "q"),
        ("encoder_attn", "attention/linear_1", "kv"),
    ),
}
LINEAR = {"self_attn.out_proj": "self_attention/linear_1", "fc1": "ffn/linear_0", "fc2": "ffn/linear_1"}
NORMS = {"self_attn_layer_norm": "self_attention/layer_norm", "final_layer_norm": "ffn/layer_norm"}
READS_SOUND = {"encoder_attn.out_proj": "attention/linear_2"}, {"encoder_attn_layer_norm": "attention/layer_norm"}


def whisper_encoder_state(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{CTranslate2 name: array} -> {name in transformers' WhisperEncoder: array}."""
    convolutions = {
        f"{conv}.{kind}": variables[f"encoder/{conv}/{kind}"] for conv in ("conv1", "conv2") for kind in KINDS
    }
    return convolutions | _layers(variables, "encoder", LINEAR, NORMS)


def whisper_decoder_state(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{CTranslate2 name: array} -> {name in transformers' WhisperDecoder: array}."""
    linear, norms = READS_SOUND
    words = {"embed_tokens.weight": variables["decoder/embeddings/weight"]}
    return words | _layers(variables, "decoder", LINEAR | linear, NORMS | norms)


def _layers(
    variables: dict[str, np.ndarray], side: str, linear: dict[str, str], norms: dict[str, str]
) -> dict[str, np.ndarray]:
    """Positions, last norm and all layers of one side."""
    state = {"embed_positions.weight": variables[f"{side}/position_encodings/encodings"]}
    _norm(state, "layer_norm", variables, f"{side}/layer_norm")
    layer = 0
    while f"{side}/layer_{layer}/ffn/linear_0/weight" in variables:
        theirs, ours = f"{side}/layer_{layer}", f"layers.{layer}"
        for name, source, heads in STACKED[side]:
            for kind in KINDS:
                split = np.split(variables[f"{theirs}/{source}/{kind}"], len(heads))
                for head, value in zip(heads, split, strict=True):
                    if (head, kind) != ("k", "bias"):
                        state[f"{ours}.{name}.{head}_proj.{kind}"] = value
        for name, source in linear.items():
            for kind in KINDS:
                state[f"{ours}.{name}.{kind}"] = variables[f"{theirs}/{source}/{kind}"]
        for name, source in norms.items():
            _norm(state, f"{ours}.{name}", variables, f"{theirs}/{source}")
        layer += 1
    return state


def _norm(state: dict[str, np.ndarray], ours: str, variables: dict[str, np.ndarray], theirs: str) -> None:
    state[f"{ours}.weight"] = variables[f"{theirs}/gamma"]
    state[f"{ours}.bias"] = variables[f"{theirs}/beta"]
