"""Folders of Transformers in a system: sizes and weights from the folder alone, features as the model's own."""

import json

import numpy as np
import pytest
import torch
from published_files import write_llama, write_whisper
from safetensors.torch import load_file, save_file
from transformers import (
    ClapAudioConfig,
    ClapAudioModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2ForImageClassification,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipConfig,
    SiglipModel,
)

from earsight.checkpoints.build import byte_tokenizer
from earsight.checkpoints.model_folders import sizes_of
from earsight.checkpoints.pretrained import build_pretrained, resolved
from earsight.checkpoints.trained_weights import make_trainable
from earsight.errors import EarsightError, PartsError
from earsight.types import Clip

VISION = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
TEXT = {
    "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20,
    "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LANGUAGE = {
    "vocab_size": 270, "hidden_size": 40, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def clip(folder):
    model = CLIPModel(CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=8)).eval()
    model.save_pretrained(folder)
    return model.vision_model


def clip_vision(folder):
    model = CLIPVisionModel(CLIPVisionConfig(**VISION)).eval()
    model.save_pretrained(folder)
    return model


def clip_of_old(folder):
    """As hub files are: names of the vision model alone begin with its own name, and there is a buffer."""
    model = clip_vision(folder)
    state = {f"vision_model.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    return model


def siglip(folder):
    model = SiglipModel(SiglipConfig(vision_config=VISION, text_config=TEXT)).eval()
    model.save_pretrained(folder)
    return model.vision_model


def dinov2(folder):
    sizes = {name: value for name, value in VISION.items() if name != "intermediate_size"}
    model = Dinov2ForImageClassification(Dinov2Config(**sizes, mlp_ratio=2, num_labels=3)).eval()
    model.save_pretrained(folder)
    return model.dinov2


def frames(n=3):
    return list(np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))


def sound(seconds=1.0, rate_hz=16000):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)


# Encoders


@pytest.mark.parametrize("write", [clip, clip_vision, clip_of_old, siglip, dinov2])
def test_a_picture_tower_gives_the_features_of_its_folder(write, tmp_path):
    theirs = write(tmp_path / "tower")
    model, processor, report = build_pretrained("av-llm/tiny", [f"encoders.vision.backbone={tmp_path / 'tower'}"])
    tower = model.encoders["vision"]
    assert (tower.config.dim, tower.config.n_layers) == (24, 2), "the folder's sizes, not the variant's"
    assert processor.sampling().frame_size == (32, 32)
    prepared = tower.config.prepare(frames())
    with torch.no_grad():
        expected = theirs(pixel_values=prepared["values"]).last_hidden_state
        made = tower(**prepared)["vision"].values[:, 0]
    assert torch.allclose(made if tower.config.has_cls else made[:, 1:], expected, atol=1e-6)
    assert report.loaded == {"encoders.vision": tmp_path / "tower"}
    assert report.random == ["encoders.sound", "language_model", "connector"]
    assert f"encoders.vision: {tmp_path / 'tower'}" in report.lines and "connector: random weights" in report.lines


def test_what_a_towers_folder_holds_besides_is_listed(tmp_path):
    clip(tmp_path / "tower")
    _, _, report = build_pretrained("dolphin/tiny", dolphin(tmp_path / "tower"))
    assert {"logit_scale", "visual_projection.weight"} <= set(report.ignored["encoders.vision"])


def dolphin(folder):
    return [f"encoders.vision.backbone={folder}", "connector.adapter.n_blocks=2", "connector.merging.n_heads=2"]


@pytest.mark.parametrize("seconds", [3.0, 1.0])
def test_whisper_gives_the_features_of_its_folder(seconds, tmp_path):
    whisper = write_whisper(tmp_path / "whisper", d_model=40, encoder_layers=2)
    settings = [f"encoders.speech.backbone={tmp_path / 'whisper'}", f"encoders.speech.chunk_seconds={seconds}"]
    model, _, report = build_pretrained("salmonn/tiny", settings)
    ours = model.encoders["speech"]
    prepared = ours.config.prepare([sound(seconds)])
    encoder = whisper.model.encoder
    positions = encoder.embed_positions.weight[: round(seconds * 50)]
    assert torch.equal(ours.encoder.embed_positions.weight, positions), "a shorter chunk has the first positions"
    if seconds == 3.0:
        with torch.no_grad():
            expected = encoder(prepared["values"]).last_hidden_state
        assert torch.allclose(ours(**prepared)["speech"].values, expected, atol=1e-6)
    assert all("decoder" in name for name in report.ignored["encoders.speech"])


def test_clap_gives_the_features_of_its_folder(tmp_path):
    sizes = {
        "spec_size": 64, "num_mel_bins": 16, "patch_embeds_hidden_size": 8, "depths": [1, 2],
        "num_attention_heads": [1, 2], "window_size": 4,
    }  # fmt: skip
    theirs = ClapAudioModel(ClapAudioConfig(**sizes)).eval()
    theirs.save_pretrained(tmp_path / "clap")
    model, _, _ = build_pretrained("av-llm/tiny", [f"encoders.sound.backbone={tmp_path / 'clap'}"])
    ours = model.encoders["sound"]
    assert ours.config.n_segments == 2, "how it is used is the variant's"
    prepared = ours.config.prepare([sound(0.5, 48000)])
    with torch.no_grad():
        expected = theirs(prepared["values"]).pooler_output
    assert torch.allclose(ours(**prepared)["sound"].values[:, 0], expected, atol=1e-6)


# Language models


def write_language_model(kind, folder):
    if kind == "llama":
        model = write_llama(folder, hidden_size=40)
    elif kind == "gpt_neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**LANGUAGE)).eval()
    else:
        model = Qwen2ForCausalLM(
            Qwen2Config(**LANGUAGE, num_key_value_heads=1, tie_word_embeddings=kind == "tied")
        ).eval()
    if kind != "llama":
        model.save_pretrained(folder)
        byte_tokenizer().save_pretrained(folder)
    return model


def asked(processor):
    heard = Clip(
        frames=np.zeros((0, 32, 32, 3), np.uint8), frame_times=np.zeros(0), waveform=sound(2.0), sample_rate_hz=16000,
        waveform_start_seconds=0.0, duration_seconds=2.0, picture="absent", sound="present",
        source="noise",
    )  # fmt: skip
    content = [{"type": "audio", "audio": heard}, {"type": "text", "text": "What?"}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True
    )


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "qwen2", "tied"])
def test_any_causal_language_model_says_in_a_system_what_it_says_alone(kind, tmp_path):
    theirs = write_language_model(kind, tmp_path / "llm")
    model, processor, report = build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    assert report.loaded == {"language_model": tmp_path / "llm"}
    inputs = asked(processor)
    slots = inputs["input_ids"] == model.config.media_token_id
    assert slots.any() and model.config.media_token_id == processor.tokenizer.convert_tokens_to_ids("<|media|>")
    with torch.no_grad():
        told = model(**inputs).logits
        made = model.soft_tokens(dict(inputs))
        embeds = theirs.get_input_embeddings()(inputs["input_ids"].masked_fill(slots, 0))
        embeds[slots] = made.values[made.mask]
        expected = theirs(inputs_embeds=embeds, attention_mask=inputs["attention_mask"]).logits
        new = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        alone = theirs.generate(
            inputs_embeds=embeds, attention_mask=inputs["attention_mask"], max_new_tokens=3, do_sample=False
        )
    assert torch.allclose(told, expected, atol=1e-5)
    assert new[:, inputs["input_ids"].shape[1] :].tolist() == alone.tolist()


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_any_causal_language_model_can_be_trained_in_a_system(kind, tmp_path):
    write_language_model(kind, tmp_path / "llm")
    modules = ["q_proj", "v_proj"] if kind == "llama" else ["query_key_value"]
    model, processor, _ = build_pretrained(
        "salmonn/tiny", [f"language_model={tmp_path / 'llm'}", f"lora.target_modules={modules}"]
    )
    make_trainable(model)
    inputs = asked(processor)
    loss = model.train()(**inputs, labels=inputs["input_ids"].clamp(max=258)).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None for n, p in model.named_parameters() if ".lora_B" in n)


def test_an_answer_ends_where_the_folders_own_generation_settings_say(tmp_path):
    write_llama(tmp_path / "llm")
    file = tmp_path / "llm" / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": [2, 7]}))
    model, _, _ = build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    assert model.generation_config.eos_token_id == [2, 7]


def test_a_language_model_keeps_the_numbers_it_is_stored_in(tmp_path):
    write_llama(tmp_path / "llm").to(torch.bfloat16).save_pretrained(tmp_path / "llm")
    model, _, _ = build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    assert model.language_model.lm_head.weight.dtype == torch.bfloat16
    assert next(model.connector.parameters()).dtype == torch.float32


def test_a_model_of_given_parts_is_saved_and_loaded_as_any_other(tmp_path):
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    from earsight.model import register

    register()
    write_language_model("qwen2", tmp_path / "llm")
    model, processor, _ = build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    model.save_pretrained(tmp_path / "whole")
    processor.save_pretrained(tmp_path / "whole")
    again = AutoModelForMultimodalLM.from_pretrained(tmp_path / "whole", dtype=torch.float32).eval()
    inputs = asked(AutoProcessor.from_pretrained(tmp_path / "whole"))
    with torch.no_grad():
        assert torch.allclose(again(**inputs).logits, model(**inputs).logits, atol=1e-6)


def test_the_same_seed_gives_the_same_connector_and_another_another():
    first, second, other = (build_pretrained("starter/tiny", seed=seed)[0].connector for seed in (1, 1, 2))
    state = other.state_dict()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert any(not torch.equal(value, state[name]) for name, value in first.state_dict().items())


# Sizes


def test_folders_are_resolved_to_sizes_wherever_they_are_given(tmp_path):
    clip(tmp_path / "tower")
    write_llama(tmp_path / "llm", hidden_size=40)
    flat = [f"encoders.vision.backbone={tmp_path / 'tower'}", f"language_model={tmp_path / 'llm'}", "lora.r=2"]
    nested = {
        "encoders": {"vision": {"backbone": str(tmp_path / "tower")}},
        "language_model": tmp_path / "llm",
        "lora": {"r": 2},
    }
    assert resolved(flat) == resolved(nested)
    values, folders = resolved(flat)
    assert folders == {"encoders.vision": tmp_path / "tower", "language_model": tmp_path / "llm"}
    assert values["encoders"]["vision"]["backbone"]["hidden_size"] == 24
    assert values["language_model"]["hidden_size"] == 40 and values["lora"] == {"r": 2}


def test_a_config_that_leaves_out_what_is_usual_is_completed(tmp_path):
    for name, config in {
        "whisper": {"model_type": "whisper", "encoder_layers": 6},
        "siglip": {"model_type": "siglip", "vision_config": {"image_size": 384}},
        "clap": {"model_type": "clap"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    assert sizes_of(tmp_path / "whisper")["encoder_layers"] == 6
    assert sizes_of(tmp_path / "whisper")["num_mel_bins"] == 80
    assert (sizes_of(tmp_path / "siglip")["image_size"], sizes_of(tmp_path / "siglip")["hidden_size"]) == (384, 768)
    assert sizes_of(tmp_path / "clap")["depths"] == [2, 2, 6, 2]


# Bad input


def broken(folder, **config):
    """A CLIP folder whose config.json has other values."""
    clip_vision(folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_size": 16}, "embeddings.* is .*24.*, the system's is .*16"),
        ({"num_hidden_layers": 3}, r"tensors are missing, such as encoder\.layers\.2\."),
        ({"num_attention_heads": 5}, "sizes that make no model"),
        ({"hidden_size": "wide"}, "sizes that make no model"),
        ({"model_type": "vit"}, "a picture tower is one of"),
        ({"quantization_config": {"bits": 4}}, "holds quantised weights"),
    ],
)
def test_a_folder_whose_config_and_weights_differ_is_one_line(config, message, tmp_path):
    broken(tmp_path / "tower", **config)
    with pytest.raises(EarsightError, match=message) as error:
        build_pretrained("av-llm/tiny", [f"encoders.vision.backbone={tmp_path / 'tower'}"])
    assert "\n" not in str(error.value)


def test_missing_tensors_of_a_language_model_are_one_line(tmp_path):
    write_llama(tmp_path / "llm")
    file = tmp_path / "llm" / "model.safetensors"
    state = load_file(file)
    del state["model.layers.0.mlp.up_proj.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(PartsError, match=r"1 tensors are missing, such as model\.layers\.0\.mlp\.up_proj") as error:
        build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12345678 not weights"), "not a safetensors file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has neither"),
        (lambda folder: (folder / "config.json").unlink(), "config.json that names its model_type"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json that names its model_type"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "none such"}'), "sizes that make no model"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokeniser that Transformers reads"),
    ],
)
def test_a_damaged_language_model_folder_is_one_line(change, message, tmp_path):
    write_llama(tmp_path / "llm")
    change(tmp_path / "llm")
    with pytest.raises(PartsError, match=message) as error:
        build_pretrained("salmonn/tiny", [f"language_model={tmp_path / 'llm'}"])
    assert "\n" not in str(error.value) and str(tmp_path / "llm") in str(error.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for setting in ("language_model", "encoders.speech.backbone", "encoders.sound"):
        with pytest.raises(PartsError, match="none"):
            build_pretrained("salmonn/tiny", [f"{setting}={tmp_path / 'none'}"])


def test_a_setting_inside_a_word_is_refused():
    from earsight import systems

    with pytest.raises(EarsightError, match="connector has the value 'big' already"):
        systems.overrides(["connector=big", "connector.n_heads=2"])
