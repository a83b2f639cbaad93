"""video-SALMONN's published weights in: its connector and LoRA, beside InstructBLIP, Whisper, BEATs and Vicuna."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from earsight.checkpoints import published_parts as parts
from earsight.checkpoints.pretrained import merged
from earsight.checkpoints.published_model import Report, Source, write_model
from earsight.checkpoints.tensor_files import read_published, refuse_existing, state_dict
from earsight.connectors import multi_resolution_qformer
from earsight.encoders import instructblip
from earsight.errors import PartsError

GOES_WITH = {5120: parts.RightModel("Vicuna-13B v1.5", 4096)}
NEEDED = {
    "video_query_tokens": 3,
    "llama_proj.weight": 2,
    "ln_video.weight": 1,
    "speech_pre_qformer_proj.weight": 2,
    "beats_pre_qformer_proj.weight": 2,
    "video_frame_position_embedding.weight": 2,
}
# Second names of tensors, buffers, and Q-Formers that were built and never run; a file written under ZeRO-3 has all.
LEAKS = re.compile(
    r"joint_.+|speech_query_tokens|speech_Qformer\..+|ln_speech\..+|llama_proj_speech\..+"
    r"|(low|high)_Qformer\..+"
    r"|video_Qformer\.bert\.embeddings\.(position_ids|(word|position)_embeddings\.weight)"
    r"|video_Qformer\.bert\.encoder\.layer\.\d+\.(intermediate\.dense|output\.(dense|LayerNorm))\.(weight|bias)"
    r"|video_Qformer\.cls\..+"
    r"|llama_model\..+\.rotary_emb\.inv_freq"
    r"|beats\.encoder\.layers\.\d+\.self_attn\.relative_attention_bias\.weight"
)
PICTURES_NEEDED = {
    "query_tokens": 3,
    "ln_vision.weight": 1,
    "Qformer.bert.embeddings.word_embeddings.weight": 2,
    "Qformer.bert.embeddings.position_embeddings.weight": 2,
    "Qformer.bert.encoder.layer.0.intermediate_query.dense.weight": 2,
    "visual_encoder.pos_embed": 3,
    "visual_encoder.patch_embed.proj.weight": 4,
    "visual_encoder.blocks.0.mlp.fc1.weight": 2,
}
PICTURES_UNUSED = re.compile(
    r"(llm_proj|t5_proj|llama_proj|vision_proj|text_proj|itm_head)\..+|temp|Qformer\.cls\..+|.+\.position_ids"
    r"|visual_encoder\.(norm|fc_norm|head|rope)\..+"
)
PICTURES_USED = ("visual_encoder.", "ln_vision.", "Qformer.bert.")
NO_VOCABULARY = (
    "no --question-vocabulary was given: the picture Q-Former cannot read questions, and asking fails until the "
    "processor has one"
)
EVA_BLOCKS = 40  # the last of which InstructBLIP and video-SALMONN do not run


def import_video_salmonn(
    checkpoint: Path,
    whisper_folder: Path,
    beats_file: Path,
    instructblip_file: Path,
    llm: Path,
    out: Path,
    settings: Mapping[str, Any] | None = None,
    question_vocabulary: Path | None = None,
    eva_file: Path | None = None,
) -> Report:
    """video-SALMONN's `pytorch_model_*.pt` with its parts -> a checkpoint folder.

    Args:
        instructblip_file: the visual weights (ln_vision, Qformer, query_tokens and, unless they are in a file of their
            own, visual_encoder).
        settings: values that no file tells, such as {"connector": {"levels": ...}}; they win.
        question_vocabulary: a BERT tokeniser (folder or tokenizer.json) with [DEC] added, for the picture Q-Former.
        eva_file: EVA ViT-g as its authors publish it, where InstructBLIP's file lacks it.

    Raises:
        PartsError: a file that is not what it should be, sizes that do not fit, tensors that are missing.
    """
    refuse_existing(out)
    trained = parts.read_trained(checkpoint, NEEDED, "video-SALMONN")
    # Reference quirk: a frame sees itself and later frames.
    causal = "future" if any(".encoder_causal_attention." in name for name in trained) else "none"
    config = multi_resolution_qformer.MultiResolutionQFormerConfig(causal=causal)  # type: ignore[arg-type]
    ours, others = multi_resolution_qformer.published_state(trained, config)
    language_model = parts.read_language_model(llm)
    width = ours["project.weight"].shape[0]
    notes = parts.refuse_another_language_model(language_model, trained, width, GOES_WITH, checkpoint)
    vision_values, pictures = _read_pictures(instructblip_file, eva_file)
    speech_values, speech = parts.read_whisper(whisper_folder)
    sound_values, sound = parts.read_beats(beats_file)
    lora_values, lora = parts.read_lora(checkpoint, trained, ("q_proj", "k_proj", "v_proj", "o_proj"))
    values = {
        "encoders": {"vision": vision_values, "speech": speech_values, "sound": sound_values},
        "connector": _connector_values(ours, causal),
        "lora": lora_values,
        "frames_at_second_ends": True,
    }
    connector = Source.of("trained weights", checkpoint, "connector.", ours, **parts.told_apart(others, LEAKS))
    sources = [connector, lora, pictures, speech, sound, language_model.source]
    vocabulary = _vocabulary(question_vocabulary, vision_values["vocab_size"]) if question_vocabulary else None
    notes += [] if vocabulary else [NO_VOCABULARY]
    values = merged(values, settings or {})
    return write_model("video_salmonn", values, sources, language_model, out, vocabulary, notes)


def _connector_values(ours: Mapping[str, Tensor], causal: str) -> dict[str, Any]:
    """The published levels are 0.5 s and 5 s; their queries and widths are in the tensors."""
    queries = [ours[f"query_tokens.{i}"] for i in range(sum(name.startswith("query_tokens.") for name in ours))]
    coarse = max(one.shape[1] for one in queries)
    windows = [0.5 * round(10 * one.shape[1] / coarse) for one in queries]
    return {
        "levels": tuple({"window_seconds": w, "n_queries": q.shape[1]} for w, q in zip(windows, queries, strict=True)),
        "hidden": queries[0].shape[2],
        "n_layers": parts.n_layers(ours, r"qformers\.0\.layers\.(\d+)\."),
        "intermediate": parts.n_rows(ours, "intermediate_query.dense.weight", 3072),
        "audio_dim": ours["audio.speech.weight"].shape[0],
        "max_positions": ours["position_embedding.weight"].shape[0],
        "causal": causal,
    }


def _read_pictures(path: Path, eva: Path | None) -> tuple[dict[str, Any], Source]:
    """Values and tensors of InstructBLIP's ViT and Q-Former.

    Raises:
        PartsError: not such a file.
    """
    seen = state_dict(read_published(path), path)
    if eva:
        raw = state_dict(read_published(eva), eva)
        parts.expect(raw, {"pos_embed": 3, "blocks.0.attn.qkv.weight": 2}, eva, "EVA's ViT")
        seen |= {f"visual_encoder.{name}": value for name, value in raw.items()}
    elif "query_tokens" in seen and not any(name.startswith("visual_encoder.") for name in seen):
        raise PartsError(f"{path}: no visual_encoder in it; give EVA ViT-g's own file too (--eva eva_vit_g.pth)")
    parts.expect(seen, PICTURES_NEEDED, path, "InstructBLIP's pictures")
    left = [name for name in seen if PICTURES_UNUSED.fullmatch(name)]
    if len({name.split(".")[2] for name in seen if name.startswith("visual_encoder.blocks.")}) == EVA_BLOCKS:
        left += [name for name in seen if name.startswith(f"visual_encoder.blocks.{EVA_BLOCKS - 1}.")]
    kept = {name: value for name, value in seen.items() if name not in set(left)}
    try:
        values, tensors = instructblip.sizes_of_published(kept), instructblip.published_state(kept)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise PartsError(f"{path}: InstructBLIP's pictures are not whole in it ({error}); download it again") from None
    strangers = [name for name in kept if not name.startswith(PICTURES_USED) and name != "query_tokens"]
    return dict(values), Source.of("pictures", path, "encoders.vision.", tensors, ignored=left, unexpected=strangers)


def _vocabulary(path: Path, n_words: int) -> str:
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise PartsError(f"{file}: no such file; give the BERT tokeniser of InstructBLIP (tokenizer.json)")
    try:
        vocabulary = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise PartsError(f"{file}: not a tokenizer.json ({error}); give the BERT tokeniser of InstructBLIP") from None
    if vocabulary.get_vocab_size() > n_words:
        raise PartsError(
            f"{file}: {vocabulary.get_vocab_size()} words, the picture Q-Former has {n_words}; give InstructBLIP's own"
        )
    return vocabulary.to_str()
