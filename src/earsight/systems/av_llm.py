"""Audio-Visual LLM: few tokens for a clip, and words that switch the senses (Shu et al., 2023).

32 frames ---> CLIP ViT-L/14 -- CLS of each frame -------------> T temporal tokens --+
                             +- patches averaged over time ----> N spatial tokens  --+-- <AUD_VIS> slot -> Vicuna-7B
4 segments --> CLAP HTS-AT ---- one vector of each segment ----> K auditory tokens --+

<VIS>, <AUD> and <AUD_VIS> in a user's text stand for the clip met with those senses: within one conversation a turn may
look, the next one listen. A sense that is absent has no tokens. The language model is trained whole.
"""

from dataclasses import replace

from earsight.connectors.temporal_spatial import TemporalSpatialConfig
from earsight.encoders.clap import ClapConfig
from earsight.encoders.efficientnet_lite import EfficientNetLiteConfig
from earsight.encoders.picture_towers import PictureTowerConfig
from earsight.encoders.whisper import WhisperPiecesConfig
from earsight.systems import SMOLLM2_135M, TINY_LLAMA, VICUNA_7B, VICUNA_13B, Prompt, System

# Figure 4 of the paper: the instruction, then the clip.
TEMPLATE = (
    "{% if not messages or messages[0]['role'] != 'system' %}"
    "System: A chat between a curious human and a video assistant.\n{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}Human: {% elif message['role'] == 'assistant' %}Assistant: "
    "{% else %}System: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% for part in message['content'] %}{% if part['type'] != 'text' %} <|{{ part['type'] }}|>{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
TOKENS = {"<VIS>": ("picture",), "<AUD>": ("sound",), "<AUD_VIS>": ("picture", "sound")}

SYSTEM = System(
    encoders={"vision": PictureTowerConfig(), "sound": ClapConfig()},
    connector=TemporalSpatialConfig(),
    language_model=VICUNA_7B,
    lora={},
    prompt=Prompt(TEMPLATE, slot="{tokens}", begins_with_bos=True, modality_tokens=TOKENS),
    # The paper gives no generation settings: greedy.
    generation={"max_new_tokens": 200, "do_sample": False},
    n_frames=32,
    sound_pieces="segments",
)

VARIANTS = {
    "7b": {},
    "13b": {"language_model": VICUNA_13B},
    # The starter's real parts: the mean of a frame's map is its CLS, a Whisper pass averaged is a segment's vector.
    "starter": replace(
        SYSTEM,
        encoders={
            "vision": EfficientNetLiteConfig(),
            "audio": WhisperPiecesConfig(pad_seconds=1.0),
        },
        language_model=SMOLLM2_135M,
        lora={
            "r": 16,
            "lora_alpha": 32,
            "lora_dropout": 0.0,  # dear on a processor: see the starter's
            "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj"),
        },
        prompt=Prompt(slot="{tokens}\n", modality_tokens=TOKENS),
        generation={"max_new_tokens": 64, "do_sample": False},
        n_frames=16,
        max_seconds=60.0,
        float32_encoders=True,
    ),
    "tiny": {
        "encoders": {
            "vision": {
                "backbone": {
                    "model_type": "clip_vision_model",
                    "hidden_size": 16,
                    "intermediate_size": 32,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": 28,
                    "patch_size": 14,
                }
            },
            "sound": {
                "backbone": {
                    "spec_size": 64,
                    "num_mel_bins": 16,
                    "patch_embeds_hidden_size": 8,
                    "depths": (1, 1),
                    "num_attention_heads": (1, 2),
                    "window_size": 4,
                },
                "n_segments": 2,
                "longest_seconds": 2.0,
            },
        },
        "language_model": TINY_LLAMA,
        "generation": {"max_new_tokens": 16},
        "n_frames": 4,
    },
}
