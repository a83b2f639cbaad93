"""Tiny files in the layout of the published ones: the golden states, and random modules under the references' names."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from compare_salmonn_end_to_end import write_published_files
from safetensors.torch import save_file
from transformers import (
    AutoModelForMultimodalLM,
    LlamaConfig,
    LlamaForCausalLM,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from earsight.checkpoints.build import byte_tokenizer
from earsight.checkpoints.published import import_salmonn, import_video_salmonn
from earsight.encoders.beats import BeatsConfig
from earsight.encoders.instructblip import QFORMER_RENAMES, VISION_RENAMES, InstructBlipConfig
from earsight.errors import PartsError
from earsight.model import register
from golden import Golden

GOLDEN = Path(__file__).parent.parent / "golden"
SALMONN_SETTINGS = {"connector": {"n_heads": 4}, "lora": {"lora_alpha": 32}}
PICTURES = InstructBlipConfig(
    image_size=28, vit_dim=16, vit_layers=2, vit_heads=2, vit_ffn_dim=32, dim=16, n_layers=2, n_heads=2, ffn_dim=32,
    n_queries=32, vocab_size=259, max_question_tokens=64,
)  # fmt: skip
BEATS = BeatsConfig(n_layers=2, hidden=20, n_heads=4, ffn=32, embed_dim=12, conv_pos=16, conv_pos_groups=4, n_classes=5)


def golden(name):
    return Golden.read(GOLDEN / f"{name}.json")


def write_salmonn(folder):
    """{option: path} of the golden SALMONN's files."""
    write_published_files(golden("salmonn_e2e_tiny"), folder)
    names = {"checkpoint": "salmonn.pth", "whisper": "whisper", "beats": "BEATs.pt", "llm": "llm"}
    return {option: folder / name for option, name in names.items()}


def write_video_salmonn(folder):
    """{option: path} of files around the golden connector; `modules` are what was written."""
    torch.manual_seed(0)
    about = golden("videosalmonn_mrc_low")
    lora = {
        f"llama_model.base_model.model.model.layers.0.self_attn.{target}_proj.lora_{which}.default.weight": value
        for target in "qkvo"
        for which, value in (("A", torch.randn(4, 28)), ("B", torch.randn(28, 4)))
    }
    torch.save(about.state | lora, folder / "pytorch_model_4_5001.pt")
    modules = {"vision": PICTURES.build(), "sound": BEATS.build()}
    for parameter in [p for module in modules.values() for p in module.parameters() if p.ndim > 1]:
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)  # wide enough that a mistake would show
    torch.save({"model": instructblip_state(modules["vision"])}, folder / "instructblip.pth")
    torch.save({"cfg": beats_cfg(BEATS), "model": beats_state(modules["sound"])}, folder / "BEATs.pt")
    modules["speech"] = write_whisper(folder / "whisper", d_model=24)
    modules["llm"] = write_llama(folder / "llm", hidden_size=28)
    byte_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    names = {
        "checkpoint": "pytorch_model_4_5001.pt",
        "whisper": "whisper",
        "beats": "BEATs.pt",
        "instructblip": "instructblip.pth",
        "llm": "llm",
        "vocabulary": "tokenizer.json",
    }
    return {option: folder / name for option, name in names.items()} | {"modules": modules}


def video_settings():
    """What the golden connector's sizes are that a published file does not tell."""
    about = golden("videosalmonn_mrc_low").about
    made_with, step = about["config"], 0.5
    levels = [
        {"window_seconds": size * step, "n_queries": made_with["nq"] * size // made_with["groupsize"]}
        for size in (made_with["low"], made_with["groupsize"])
    ]
    heads = about["qformer"]["num_attention_heads"]
    return {
        "connector": {"levels": levels, "n_heads": heads},
        "encoders": {"vision": {"vit_heads": PICTURES.vit_heads, "n_heads": PICTURES.n_heads}},
    }


def write_whisper(folder, **sizes):
    sizes = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, **sizes}
    config = WhisperConfig(
        **sizes, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=8, vocab_size=60, max_target_positions=8,
        max_source_positions=150, pad_token_id=1, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    whisper = WhisperForConditionalGeneration(config).eval()
    whisper.save_pretrained(folder)
    return whisper


def write_llama(folder, **sizes):
    config = LlamaConfig(**LLAMA | sizes)
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return model


LLAMA = {
    "vocab_size": 259, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    "tie_word_embeddings": False,
}  # fmt: skip


def instructblip_state(module):
    """Our InstructBLIP's tensors under LAVIS's names."""
    state = {}
    for name, value in module.state_dict().items():
        if name.startswith("vision.post_layernorm."):
            state[name.replace("vision.post_layernorm.", "ln_vision.")] = value
        elif name.startswith("vision."):
            inner = reversed_names(name.removeprefix("vision."), VISION_RENAMES)
            if inner.endswith(".q_bias"):
                value[len(value) // 3 : -(len(value) // 3)] = 0  # keys have no bias; the module's own is changed too
                query, _, third = value.chunk(3)
                state |= {f"visual_encoder.{inner}": query.clone(), f"visual_encoder.{inner[:-6]}v_bias": third.clone()}
            else:
                state[f"visual_encoder.{inner}"] = value
        elif name.startswith("qformer."):
            state[f"Qformer.bert.{reversed_names(name.removeprefix('qformer.'), QFORMER_RENAMES)}"] = value
        else:
            state[name] = value
    return state


def reversed_names(name, renames):
    for theirs, ours in reversed(renames.items()):
        name = name.replace(ours, theirs)
    return name


def beats_state(module):
    """Our BEATs's tensors as published: the position bias in every layer, the convolution's weight in two."""
    state = dict(module.state_dict())
    bias, weight = state.pop("encoder.relative_attention_bias.weight"), state.pop("encoder.pos_conv.0.weight")
    for layer in range(module.config.n_layers):
        state[f"encoder.layers.{layer}.self_attn.relative_attention_bias.weight"] = bias
    state["encoder.pos_conv.0.weight_v"] = 2 * weight
    state["encoder.pos_conv.0.weight_g"] = weight.norm(dim=(0, 1), keepdim=True)
    return state


def beats_cfg(config):
    """Our sizes as a published file's `cfg`."""
    return {
        "encoder_layers": config.n_layers, "encoder_embed_dim": config.hidden, "encoder_ffn_embed_dim": config.ffn,
        "encoder_attention_heads": config.n_heads, "embed_dim": config.embed_dim, "input_patch_size": config.patch,
        "conv_pos": config.conv_pos, "conv_pos_groups": config.conv_pos_groups, "num_buckets": config.n_buckets,
        "max_distance": config.max_distance, "deep_norm": config.deep_norm, "predictor_class": config.n_classes,
        "finetuned_model": bool(config.n_classes), "layer_norm_first": False, "conv_bias": False,
        "activation_fn": "gelu", "gru_rel_pos": True, "relative_position_embedding": True,
    }  # fmt: skip


def laion_state(module):
    """Our CLAP encoder's tensors under LAION's names, with what else such a file holds."""
    renames = (
        ("batch_norm", "bn0"), ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
        ("intermediate.dense", "mlp.fc1"), ("attention.output.dense", "attn.proj"), ("output.dense", "mlp.fc2"),
        ("attention.self", "attn"),
    )  # fmt: skip
    state, given = {}, module.state_dict()
    for name, value in given.items():
        inner = name.removeprefix("model.audio_encoder.")
        for ours, theirs in renames:
            inner = inner.replace(ours, theirs)
        if match := re.search(r"\.(query|key|value)\.(weight|bias)$", inner):
            if match[1] == "query":
                thirds = [given[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
                state[f"module.audio_branch.{inner.replace('.query.', '.qkv.')}"] = torch.cat(thirds)
        else:
            state[f"module.audio_branch.{inner}"] = value
    more = ("audio_branch.layers.0.blocks.1.attn_mask", "audio_branch.head.weight", "text_branch.embeddings.weight")
    return state | {f"module.{name}": torch.zeros(2) for name in more}


def copied(files, folder, *changed):
    """The files again, those to be changed as copies of their own."""
    fresh = dict(files)
    for option in changed:
        source, target = files[option], folder / files[option].name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        fresh[option] = target
    return fresh


def rewritten(file, change):
    """Change the tensors of a .safetensors file, or what a .pth file holds, in place."""
    from safetensors.torch import load_file

    if file.suffix == ".safetensors":
        state = load_file(file)
        save_file(change(state) or state, file)
    else:
        held = torch.load(file, weights_only=True)
        torch.save(change(held) or held, file)


def salmonn(files, out, settings=SALMONN_SETTINGS):
    return import_salmonn(files["checkpoint"], files["whisper"], files["beats"], files["llm"], out, settings)


def video_salmonn(files, out, settings=None, **more):
    parts = (files[name] for name in ("checkpoint", "whisper", "beats", "instructblip", "llm"))
    return import_video_salmonn(*parts, out, settings or video_settings(), **more)


def loaded(folder):
    register()
    return AutoModelForMultimodalLM.from_pretrained(folder, dtype=torch.float32).eval()


def refused(run, *arguments, **options):
    """The message: one line; nothing is left on the disk."""
    out = arguments[-1]
    before = sorted(out.parent.iterdir())
    with pytest.raises(PartsError) as error:
        run(*arguments, **options)
    assert "\n" not in str(error.value)
    assert sorted(out.parent.iterdir()) == before
    return error.value


def assert_same(ours, theirs):
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
