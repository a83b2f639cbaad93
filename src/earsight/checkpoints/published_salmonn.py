"""SALMONN's published weights in: Q-Former, projection, norms and LoRA, beside Whisper, BEATs and Vicuna."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earsight.checkpoints import published_parts as parts
from earsight.checkpoints.pretrained import merged
from earsight.checkpoints.published_model import Report, Source, write_model
from earsight.checkpoints.tensor_files import refuse_existing
from earsight.connectors import window_qformer

GOES_WITH = {
    5120: parts.RightModel("Vicuna-13B v1.1", 2048),
    4096: parts.RightModel("Vicuna-7B v1.5", 4096),
}
NEEDED = {"speech_query_tokens": 3, "speech_llama_proj.weight": 2, "ln_speech.weight": 1, "ln_audio.weight": 1}
# The published trainer leaves out frozen parameters by their first name, so that buffers and second names stay; the
# first release kept the Q-Former's text branch too.
LEAKS = re.compile(
    r"llama_model\..+\.rotary_emb\.inv_freq"
    r"|beats\.encoder\.layers\.\d+\.self_attn\.relative_attention_bias\.weight"
    r"|speech_Qformer\.bert\.embeddings\.(position_ids|(word|position)_embeddings\.weight)"
    r"|speech_Qformer\.bert\.encoder\.layer\.\d+\.(intermediate\.dense|output\.(dense|LayerNorm))\.(weight|bias)"
    r"|speech_Qformer\.cls\..+"
)


def import_salmonn(
    checkpoint: Path,
    whisper_folder: Path,
    beats_file: Path,
    llm: Path,
    out: Path,
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """SALMONN's `salmonn_v1.pth` (13B) or `salmonn_7b_v0.pth` with its parts -> a checkpoint folder.

    Args:
        settings: values that no file tells, such as {"lora": {"lora_alpha": 28}}; they win.

    Raises:
        PartsError: a file that is not what it should be, sizes that do not fit, tensors that are missing.
    """
    refuse_existing(out)
    trained = parts.read_trained(checkpoint, NEEDED, "SALMONN")
    ours, others = window_qformer.published_state(trained)
    language_model = parts.read_language_model(llm)
    width = ours["project.weight"].shape[0]
    notes = parts.refuse_another_language_model(language_model, trained, width, GOES_WITH, checkpoint)
    speech_values, speech = parts.read_whisper(whisper_folder)
    sound_values, sound = parts.read_beats(beats_file)
    lora_values, lora = parts.read_lora(checkpoint, trained, ("q_proj", "v_proj"))
    values = {
        "encoders": {"speech": speech_values, "sound": sound_values},
        "connector": {
            "n_queries": ours["query_tokens"].shape[1],
            "hidden": ours["query_tokens"].shape[2],
            "n_layers": parts.n_layers(ours, r"qformer\.encoder\.layer\.(\d+)\."),
            "intermediate": parts.n_rows(ours, "intermediate_query.dense.weight", 3072),
            # Reference quirk: the remainder after the last whole window is dropped, and padding is read as sound.
            "last_window": "drop",
            "mask_padding": False,
        },
        "lora": lora_values,
    }
    connector = Source.of("trained weights", checkpoint, "connector.", ours, **parts.told_apart(others, LEAKS))
    sources = [connector, lora, speech, sound, language_model.source]
    return write_model("salmonn", merged(values, settings or {}), sources, language_model, out, notes=notes)
