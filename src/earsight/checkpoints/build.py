"""Builds a system: with pretrained parts and a fresh connector, or at random, at any size, on the meta device too."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from earsight import systems
from earsight.encoders.whisper import published_state
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.configuration import EarsightConfig
from earsight.model.media_inputs import reads_question
from earsight.model.processor import EarsightProcessor

Model = EarsightForConditionalGeneration


def build_untrained(
    parts: Path, system: str = "starter", seed: int = 0, values: Mapping[str, Any] | None = None
) -> Model:
    """A system of the starter's real parts with a fresh connector, in evaluation mode, nothing trainable yet.

    Args:
        parts: folder made by `earsight.checkpoints.parts.fetch`.
        system: "starter", or another system's "starter" variant.
        seed: for the connector's initial weights.
    """
    text_config = AutoConfig.from_pretrained(parts / "llm").to_dict()
    model = build_random(system, values, text_config=text_config, seed=seed)
    state = load_file(parts / "llm" / "model.safetensors")
    # The file holds tied weights once.
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    model.language_model.to(torch.bfloat16).load_state_dict(state)
    model.language_model.tie_weights()
    for name, part in model.description.encoders.items():
        if part.sense == "sound":
            speech = load_file(parts / "speech" / "model.safetensors")
            model.encoders[name].load_state_dict(published_state(speech, part))
        else:
            model.encoders[name].load_state_dict(load_file(parts / "vision" / "model.safetensors"))
    return model.eval().requires_grad_(False)


def build_processor(parts: Path, system: str = "starter", values: Mapping[str, Any] | None = None) -> EarsightProcessor:
    """The processor that belongs to a system made of the starter's parts."""
    from transformers import AutoTokenizer

    context = AutoConfig.from_pretrained(parts / "llm").max_position_embeddings
    return processor_for(system, AutoTokenizer.from_pretrained(parts / "llm"), values, context_tokens=context)


def build_tiny(
    system: str = "starter", seed: int = 0, values: Mapping[str, Any] | None = None
) -> tuple[Model, EarsightProcessor]:
    """A tiny variant with random weights and a tokeniser of bytes: nothing is downloaded.

    Args:
        system: "salmonn" for "salmonn/tiny", or another variant by its full name.
        values: overrides, nested as `earsight.systems.overrides` makes them.
    """
    name = system if "/" in system else f"{system}/tiny"
    described = systems.get(name, values)
    vocabulary = byte_tokenizer().backend_tokenizer.to_str() if reads_question(described) else None
    model = build_random(name, values, seed=seed)
    context = model.config.get_text_config().max_position_embeddings
    processor = processor_for(name, byte_tokenizer(), values, vocabulary, context)
    return model.eval().requires_grad_(False), processor


def build_random(
    system: str,
    values: Mapping[str, Any] | None = None,
    text_config: Mapping[str, Any] | None = None,
    seed: int = 0,
    with_lora: bool = False,
    meta: bool = False,
) -> Model:
    """A system with random weights; on the meta device it has sizes but no memory."""
    torch.manual_seed(seed)
    described = systems.get(system, values)
    settings = dict(text_config or described.language_model)
    config = EarsightConfig(
        system=system,
        values=described.values(),
        text_config=settings,
        media_token_id=settings["vocab_size"],
        unmerged_lora=with_lora and bool(described.lora),
    )
    with torch.device("meta") if meta else nullcontext():
        model = EarsightForConditionalGeneration(config)
    text = config.get_text_config()
    model.generation_config.update(
        bos_token_id=text.bos_token_id,
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
        **described.generation,
    )
    return model


def processor_for(
    system: str,
    tokenizer: Any,
    values: Mapping[str, Any] | None = None,
    question_vocabulary: str | None = None,
    context_tokens: int | None = None,
) -> EarsightProcessor:
    """The processor of a system with a tokeniser."""
    return EarsightProcessor(
        tokenizer,
        system=system,
        values=systems.get(system, values).values(),
        question_vocabulary=question_vocabulary,
        context_tokens=context_tokens,
    )


def byte_tokenizer() -> Any:
    """A tokeniser of bytes: what a language model with random weights is given."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(special + alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
