"""Puts converted parts into a model: the frozen encoders and the language model; the connector stays new."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from earsight import systems
from earsight.encoders.whisper import published_state
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.configuration import EarsightConfig
from earsight.model.processor import EarsightProcessor


def build_untrained(parts: Path, system: str = "starter", seed: int = 0) -> EarsightForConditionalGeneration:
    """A system with its pretrained parts and a fresh connector, in evaluation mode, nothing trainable yet.

    Args:
        parts: folder made by `earsight.checkpoints.parts.fetch`.
        seed: for the connector's initial weights.
    """
    text_config = AutoConfig.from_pretrained(parts / "llm")
    model = _with_random_weights(system, text_config, seed)
    state = load_file(parts / "llm" / "model.safetensors")
    # The file holds tied weights once.
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    model.language_model.to(torch.bfloat16).load_state_dict(state)
    model.language_model.tie_weights()
    audio = model.encoders["audio"]
    speech = load_file(parts / "speech" / "model.safetensors")
    audio.load_state_dict(published_state(speech, model.description.encoders["audio"]))
    model.encoders["vision"].load_state_dict(load_file(parts / "vision" / "model.safetensors"))
    return model.eval().requires_grad_(False)


def build_processor(parts: Path, system: str = "starter") -> EarsightProcessor:
    """The processor that belongs to a system made of these parts."""
    from transformers import AutoTokenizer

    return _processor(system, AutoTokenizer.from_pretrained(parts / "llm"))


def build_tiny(system: str = "starter", seed: int = 0) -> tuple[EarsightForConditionalGeneration, EarsightProcessor]:
    """The tiny variant of a system with random weights and a tokeniser of bytes: nothing is downloaded."""
    from transformers import LlamaConfig

    name = f"{system}/tiny"
    processor = _processor(name, _byte_tokenizer())
    text_config = LlamaConfig(
        vocab_size=len(processor.tokenizer) - 1,  # without the placeholder
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return _with_random_weights(name, text_config, seed).eval().requires_grad_(False), processor


def _with_random_weights(system: str, text_config: Any, seed: int) -> EarsightForConditionalGeneration:
    torch.manual_seed(seed)
    config = EarsightConfig(
        system=system.partition("/")[0],
        values=systems.get(system).values(),
        text_config=text_config.to_dict(),
        media_token_id=text_config.vocab_size,
    )
    model = EarsightForConditionalGeneration(config)
    model.generation_config.update(
        eos_token_id=text_config.eos_token_id, pad_token_id=text_config.pad_token_id, do_sample=False
    )
    return model


def _processor(system: str, tokenizer: Any) -> EarsightProcessor:
    from transformers import WhisperFeatureExtractor

    described = systems.get(system)
    audio = described.encoders["audio"]
    extractor = WhisperFeatureExtractor(feature_size=audio.n_mels, chunk_length=round(audio.chunk_seconds))
    return EarsightProcessor(extractor, tokenizer, system=system.partition("/")[0], values=described.values())


def _byte_tokenizer() -> Any:
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
