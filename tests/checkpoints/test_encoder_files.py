"""BEATs, ImageBind's audio branch and CLAP: published layouts in, a folder out, that folder in a system."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from published_files import GOLDEN, beats_cfg, laion_state
from transformers import ClapAudioConfig, ClapConfig, ClapModel

from earsight import systems
from earsight.checkpoints.encoder_files import import_encoder, load_encoder, values_of
from earsight.checkpoints.pretrained import build_pretrained, resolved
from earsight.encoders import clap
from earsight.errors import EarsightError, PartsError
from golden import Golden

CLAP = {
    "spec_size": 64, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4], "patch_embeds_hidden_size": 8,
    "depths": [2, 1], "num_attention_heads": [1, 2], "window_size": 4, "mlp_ratio": 2.0,
}  # fmt: skip
IMAGEBIND = {"n_heads": 4}


def golden(name):
    return Golden.read(GOLDEN / f"{name}.json")


def built(config):
    torch.manual_seed(0)
    encoder = config.build().eval()
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return encoder


def sound(seconds, rate_hz):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)


@pytest.fixture
def beats_file(tmp_path):
    stored = golden("beats_tiny")
    torch.save({"cfg": stored.about["cfg"], "model": stored.state}, tmp_path / "BEATs_tiny.pt")
    return tmp_path / "BEATs_tiny.pt"


@pytest.fixture
def imagebind_file(tmp_path):
    state = golden("imagebind_audio_tiny").state | {"modality_trunks.vision.blocks.0.norm_1.bias": torch.zeros(3)}
    torch.save(state, tmp_path / "imagebind_huge.pth")
    return tmp_path / "imagebind_huge.pth"


@pytest.fixture
def laion_file(tmp_path):
    # As LAION's trainer saves it: with a score as a number of numpy's.
    held = {"epoch": 3, "score": np.float64(0.5), "state_dict": laion_state(built(clap.ClapConfig(CLAP)))}
    torch.save(held, tmp_path / "laion.pt")
    return tmp_path / "laion.pt"


def refused(*arguments):
    before = sorted(arguments[2].parent.iterdir())
    with pytest.raises(EarsightError) as error:
        import_encoder(*arguments)
    assert "\n" not in str(error.value)
    assert sorted(arguments[2].parent.iterdir()) == before
    return str(error.value)


# BEATs


def test_imported_beats_gives_the_golden_features(beats_file, tmp_path):
    stored = golden("beats_tiny")
    made = import_encoder("beats", beats_file, tmp_path / "out")
    assert made.ignored and all(name.endswith("relative_attention_bias.weight") for name in made.ignored)
    encoder = load_encoder(tmp_path / "out")
    with torch.no_grad():
        heard = encoder(**encoder.config.prepare([stored.tensors["single.wav"][0].numpy()]))["sound"]
    stored.check("single.features", heard.values, atol=1e-4)  # from the wave on
    stored.check("single.probs", encoder.probabilities(heard), atol=1e-4)


def test_beats_without_a_predictor_is_taken_without(beats_file, tmp_path):
    held = torch.load(beats_file, weights_only=True)
    held["cfg"]["finetuned_model"] = False
    torch.save(held, beats_file)
    made = import_encoder("beats", beats_file, tmp_path / "out")
    assert made.config.n_classes == 0 and "predictor.weight" in made.ignored


def test_beats_whose_cfg_lacks_a_size_is_refused_by_file_and_name(beats_file, tmp_path):
    held = torch.load(beats_file, weights_only=True)
    del held["cfg"]["encoder_layers"]
    torch.save(held, beats_file)
    told = refused("beats", beats_file, tmp_path / "out")
    assert str(beats_file) in told and "encoder_layers" in told


def test_beats_with_half_a_weight_norm_is_refused(beats_file, tmp_path):
    held = torch.load(beats_file, weights_only=True)
    del held["model"]["encoder.pos_conv.0.weight_g"]
    torch.save(held, beats_file)
    assert "weight_g" in refused("beats", beats_file, tmp_path / "out")


def test_beats_whose_cfg_is_another_models_is_refused(beats_file, tmp_path):
    held = torch.load(beats_file, weights_only=True)
    torch.save(held | {"cfg": held["cfg"] | {"encoder_layers": 4}}, beats_file)
    told = refused("beats", beats_file, tmp_path / "out")
    assert "encoder.layers.3." in told and "missing" in told
    torch.save(held | {"cfg": held["cfg"] | {"encoder_attention_heads": 5}}, beats_file)
    assert str(beats_file) in refused("beats", beats_file, tmp_path / "out")
    torch.save(held | {"cfg": held["cfg"] | {"encoder_layers": "many"}}, beats_file)
    assert "its sizes make no encoder" in refused("beats", beats_file, tmp_path / "out")
    torch.save(held | {"cfg": [1, 2]}, beats_file)
    assert "expected BEATs weights" in refused("beats", beats_file, tmp_path / "out")


# ImageBind


def test_imported_imagebind_gives_the_golden_embedding(imagebind_file, tmp_path):
    stored = golden("imagebind_audio_tiny")
    made = import_encoder("imagebind", imagebind_file, tmp_path / "out", IMAGEBIND)
    assert made.ignored == ("modality_trunks.vision.blocks.0.norm_1.bias",)
    assert (made.config.dim, made.config.n_layers, made.config.out_dim) == (24, 3, 16), "told by shapes"
    encoder = load_encoder(tmp_path / "out")
    prepared = encoder.config.prepare([waveform.numpy() for waveform in stored.tensors["wav"]])
    with torch.no_grad():
        stored.check("embedding", encoder.embedding(prepared["values"]))


def test_imagebind_without_sound_is_refused(tmp_path):
    torch.save({"modality_trunks.vision.blocks.0.norm_1.bias": torch.zeros(3)}, tmp_path / "vision.pth")
    assert "not ImageBind's audio branch" in refused("imagebind", tmp_path / "vision.pth", tmp_path / "out")


def test_imagebind_that_lacks_a_tensor_is_refused_by_its_name(imagebind_file, tmp_path):
    state = torch.load(imagebind_file, weights_only=True)
    del state["modality_trunks.audio.blocks.1.attn.bias_k"]
    torch.save(state, imagebind_file)
    assert "blocks.1.attn.bias_k (missing" in refused("imagebind", imagebind_file, tmp_path / "out")


def test_a_setting_that_an_encoder_does_not_have_names_those_it_has(imagebind_file, tmp_path):
    told = refused("imagebind", imagebind_file, tmp_path / "out", {"heads": 4})
    assert "imagebind has no setting 'heads'" in told and "did you mean n_heads" in told


def test_heads_that_do_not_share_the_width_are_refused(imagebind_file, tmp_path):
    import_encoder("imagebind", imagebind_file, tmp_path / "twelve")  # the published number, which no shape tells
    told = refused("imagebind", imagebind_file, tmp_path / "out", {"n_layers": 5})
    assert "blocks.3." in told and "NAME=VALUE" in told


# CLAP


def test_laions_names_become_transformers(laion_file, tmp_path):
    theirs = built(clap.ClapConfig(CLAP))
    made = import_encoder("clap", laion_file, tmp_path / "out", {"backbone": {"spec_size": 64}})
    assert made.ignored == (
        "module.audio_branch.layers.0.blocks.1.attn_mask",
        "module.audio_branch.head.weight",
        "module.text_branch.embeddings.weight",
    )
    told = {name: made.config.backbone[name] for name in CLAP}
    assert told == CLAP, "all sizes but spec_size are told by shapes"
    encoder = load_encoder(tmp_path / "out")
    prepared = replace(encoder.config, longest_seconds=2.0).prepare([sound(0.3, 48000)])
    assert torch.equal(encoder(**prepared)["sound"].values, theirs(**prepared)["sound"].values)


def test_transformers_folder_gives_the_same_encoder(tmp_path):
    torch.manual_seed(0)
    audio = ClapAudioConfig(**CLAP, hidden_size=16)
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio.to_dict())).eval()
    model.save_pretrained(tmp_path / "clap")
    made = import_encoder("clap", tmp_path / "clap", tmp_path / "out")
    assert any(name.startswith("text_model.") for name in made.ignored)
    assert made.config.dim == 16
    encoder = load_encoder(tmp_path / "out")
    prepared = replace(encoder.config, longest_seconds=2.0).prepare([sound(0.3, 48000)])
    with torch.no_grad():
        expected = model.audio_model(prepared["values"]).pooler_output
    assert torch.allclose(encoder(**prepared)["sound"].values[:, 0], expected, atol=1e-6)


def test_clap_with_fusion_is_refused(laion_file, tmp_path):
    held = torch.load(laion_file, weights_only=False)
    held["state_dict"]["module.audio_branch.patch_embed.mel_conv2d.weight"] = torch.ones(1)
    torch.save(held, laion_file)
    assert "without fusion" in refused("clap", laion_file, tmp_path / "out")
    ClapConfig(audio_config={**CLAP, "enable_fusion": True}).save_pretrained(tmp_path / "fused")
    assert "without" in refused("clap", tmp_path / "fused", tmp_path / "again")


# The folder in a system


def test_an_imported_encoder_brings_its_sizes_and_weights_to_a_system(beats_file, tmp_path):
    import_encoder("beats", beats_file, tmp_path / "beats")
    values = values_of(tmp_path / "beats")
    assert values["hidden"] == 48 and "chunk_seconds" not in values and "n_classes" not in values
    model, processor, report = build_pretrained("salmonn/tiny", [f"encoders.sound={tmp_path / 'beats'}"])
    described = systems.get("salmonn/tiny")
    ours = model.encoders["sound"]
    assert ours.config.chunk_seconds == described.encoders["sound"].chunk_seconds, "how it is used is the system's"
    assert processor.description.encoders["sound"].hidden == 48
    alone = load_encoder(tmp_path / "beats")
    prepared = ours.config.prepare([sound(1, 16000)])
    assert torch.equal(ours(**prepared)["sound"].values, alone(**prepared)["sound"].values)
    assert report.loaded == {"encoders.sound": tmp_path / "beats"}
    assert report.ignored["encoders.sound"] == ["predictor.bias", "predictor.weight"]
    assert report.random == ["encoders.speech", "language_model", "connector"]


def test_settings_beside_a_folder_win_over_it(beats_file, tmp_path):
    import_encoder("beats", beats_file, tmp_path / "beats")
    for settings in (
        [f"encoders.sound={tmp_path / 'beats'}", "encoders.sound.chunk_seconds=1.6"],
        ["encoders.sound.chunk_seconds=1.6", f"encoders.sound={tmp_path / 'beats'}"],
    ):
        values, folders = resolved(settings, "salmonn")
        assert folders == {"encoders.sound": tmp_path / "beats"}
        assert values["encoders"]["sound"]["chunk_seconds"] == 1.6 and values["encoders"]["sound"]["hidden"] == 48


def test_imagebind_in_dolphin_keeps_handing_over_its_tokens_before_the_blocks(imagebind_file, tmp_path):
    import_encoder("imagebind", imagebind_file, tmp_path / "heard", IMAGEBIND | {"run_blocks": True})
    settings = [f"encoders.sound={tmp_path / 'heard'}", "connector.adapter.n_blocks=1"]
    model, _, _ = build_pretrained("dolphin/tiny", [*settings, "connector.merging.n_heads=2"])
    assert not model.encoders["sound"].config.run_blocks
    assert torch.equal(
        model.encoders["sound"].head_project.weight,
        golden("imagebind_audio_tiny").state["modality_heads.audio.2.weight"],
    )


def test_a_folder_of_another_kind_is_refused_by_name(beats_file, tmp_path):
    import_encoder("beats", beats_file, tmp_path / "beats")
    with pytest.raises(PartsError, match="holds beats, but encoders.sound of av-llm/7b is ClapConfig; give an .* clap"):
        build_pretrained("av-llm/7b", [f"encoders.sound={tmp_path / 'beats'}"])
    with pytest.raises(PartsError, match=r"WhisperStreamsConfig; give encoders.speech.backbone=DIR"):
        resolved([f"encoders.speech={tmp_path / 'beats'}"], "salmonn")


def test_a_folder_that_is_none_of_ours_is_refused_with_the_other_way(tmp_path):
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(PartsError, match=r"not an encoder .* encoders.sound.backbone=DIR"):
        resolved([f"encoders.sound={tmp_path / 'whisper'}"])
    with pytest.raises(PartsError, match="not a folder that `earsight import` wrote"):
        load_encoder(tmp_path / "whisper")


def test_a_damaged_folder_of_ours_is_refused(beats_file, tmp_path):
    import_encoder("beats", beats_file, tmp_path / "beats")
    weights, config = tmp_path / "beats" / "model.safetensors", tmp_path / "beats" / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PartsError, match="truncated"):
        build_pretrained("salmonn/tiny", [f"encoders.sound={tmp_path / 'beats'}"])
    weights.write_bytes(whole)
    told = json.loads(config.read_text())
    config.write_text(json.dumps(told | {"values": told["values"] | {"ffn": 7}}))
    with pytest.raises(PartsError, match=r"fc1\.\w+ is .*, the system's is \(7"):
        build_pretrained("salmonn/tiny", [f"encoders.sound={tmp_path / 'beats'}"])
    config.write_text(json.dumps({"model_type": "earsight-encoder"}))
    with pytest.raises(PartsError, match="not whole"):
        resolved([f"encoders.sound={tmp_path / 'beats'}"])


def test_the_published_layout_of_our_own_sizes_is_read_back():
    """The writer of the tests' files says what `config_from_published` reads."""
    from earsight.encoders.beats import BeatsConfig, config_from_published

    config = BeatsConfig(n_layers=2, hidden=20, n_heads=4, n_classes=3)
    assert config_from_published(beats_cfg(config)) == config
