"""Dolphin: senses aligned in space and in time before the language model hears of them (Guo et al., ICLR 2025).

8 frames --------> CLIP ViT-L/14 blocks ---+-- multi-scale adapter --+-- mean over frames --> spatial tokens --+
                                           |   between the blocks    |                                         +-- slot
8 pieces of 2 s -> ImageBind audio blocks -+                         +-- interleaved merging -> 2 a frame -----+
                                                                                                   -> Vicuna-7B 1.5

The frozen towers run inside the connector, since the adapter reads and writes between their blocks. A sense that is
absent has no tokens. The language model is trained whole; "7b-lora" is the paper's variant with LoRA.
"""

from dataclasses import replace

from earsight.connectors.aligned_tokens import AlignedTokensConfig
from earsight.connectors.interleaved_merging import InterleavedMergingConfig
from earsight.connectors.multi_scale_adapter import MultiScaleAdapterConfig
from earsight.encoders.efficientnet_lite import EfficientNetLiteConfig
from earsight.encoders.imagebind_audio import ImageBindAudioConfig
from earsight.encoders.picture_towers import PictureTowerConfig
from earsight.encoders.whisper import WhisperPiecesConfig
from earsight.systems import SMOLLM2_135M, TINY_LLAMA, VICUNA_7B, VICUNA_13B, Prompt, System

# Vicuna 1.5's own turns; the paper shows no template.
TEMPLATE = (
    "{% if not messages or messages[0]['role'] != 'system' %}"
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. {% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% elif message['role'] == 'assistant' %}ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<|{{ part['type'] }}|>{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %} {% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

SYSTEM = System(
    encoders={"vision": PictureTowerConfig(run_blocks=False), "sound": ImageBindAudioConfig()},
    connector=AlignedTokensConfig(),
    language_model=VICUNA_7B,
    lora={},
    prompt=Prompt(TEMPLATE, slot="{tokens}\n", begins_with_bos=True),
    # The paper gives no generation settings: greedy.
    generation={"max_new_tokens": 200, "do_sample": False},
    n_frames=8,
    repeat_still=True,
    sound_pieces="frames",
)
SMALL_LORA = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,  # dear on a processor: see the starter's
    "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj"),
}

VARIANTS = {
    "7b": {},
    "13b": {"language_model": VICUNA_13B},
    # Rank and scale of "Dolphin-LoRA" are not in the paper: LLaVA's, whose training it follows.
    "7b-lora": {
        "lora": {
            "r": 128,
            "lora_alpha": 256,
            "lora_dropout": 0.05,
            "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        },
    },
    # The starter's real parts. They have no layers of tokens to stop between: each of the adapter's two blocks reads
    # and writes their finished tokens.
    "starter": replace(
        SYSTEM,
        encoders={
            # Pixels of half the side: a quarter of the pyramid's work.
            "vision": EfficientNetLiteConfig(with_pixels=True, pixels_size=130),
            "sound": WhisperPiecesConfig(longest_seconds=2.0, pool=10, with_mel=True, pad_seconds=0.5),
        },
        connector=AlignedTokensConfig(
            adapter=MultiScaleAdapterConfig(n_blocks=2, dim=64, n_heads=4),
            merging=InterleavedMergingConfig(dim=256, n_heads=4),
            projector_hidden=256,
        ),
        language_model=SMOLLM2_135M,
        lora=SMALL_LORA,
        prompt=Prompt(slot="{tokens}\n"),
        generation={"max_new_tokens": 64, "do_sample": False},
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
                    "num_hidden_layers": 4,
                    "num_attention_heads": 2,
                    "image_size": 32,
                    "patch_size": 16,
                }
            },
            "sound": {"dim": 24, "n_layers": 4, "n_heads": 2, "stride": 32, "out_dim": 16},
        },
        "connector": {"adapter": {"n_blocks": 2, "dim": 16, "n_heads": 2}, "merging": {"n_heads": 2}},
        "language_model": TINY_LLAMA,
        "generation": {"max_new_tokens": 16},
        "n_frames": 4,
    },
}
