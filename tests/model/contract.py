"""What every system must do, on generated clips; shared by the tests of the systems here and of a fifth one."""

from dataclasses import replace

import numpy as np
import torch

from earsight import systems
from earsight.checkpoints.build import build_tiny
from earsight.model.media_inputs import input_names
from earsight.types import Clip

QUESTION = "What is it?"
SMALL = {
    "picture": {"width": 0.25, "depth": 0.4, "image_size": 64},
    "sound": {
        "backbone": {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64},
        "sound_layers": (1, 2),
    },
}
# A random language model that says something else for every clip: small, tied weights repeat the last word.
LIVELY = {"initializer_range": 0.3, "tie_word_embeddings": False}
# Each system as it is tiny, and as it is made of the starter's kinds of parts, these at small sizes.
BUILT = [f"{name}/{variant}" for name in systems.names() for variant in systems.variants(name)]
BUILT = [name for name in BUILT if name.endswith(("/tiny", "/starter"))]


def small_values(name, language_model=None):
    """Overrides that shrink a starter variant and make any language model lively."""
    values = {"language_model": {**systems.TINY_LLAMA, **LIVELY, **(language_model or {})}}
    if not name.endswith("/tiny"):
        values["encoders"] = {part: SMALL[config.sense] for part, config in systems.get(name).encoders.items()}
    return values


def build(name, language_model=None, **values):
    """A lively small model of a system, and its processor."""
    model, processor = build_tiny(name, values={**small_values(name, language_model), **values})
    torch.manual_seed(1)
    for module in (*model.encoders.modules(), *model.connector.modules()):
        if isinstance(module, torch.nn.Linear | torch.nn.Conv1d):  # with 0.02 a narrow model is half blind and deaf
            torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
    return model, processor


def make_clip(seconds=3.0, picture=True, sound=True, seed=0, n_frames=None, sound_start=0.0):
    """A clip of noise; one frame a second unless told otherwise."""
    rng = np.random.default_rng(seed)
    n_frames = (n_frames or max(1, int(seconds))) if picture else 0
    frames = rng.integers(0, 255, (n_frames, 64, 64, 3), dtype=np.uint8)
    times = np.arange(n_frames) * max(seconds, 1.0) / max(n_frames, 1)
    waveform = rng.normal(0, 0.1, round(seconds * 16000) if sound else 0).astype(np.float32)
    states = ("present" if picture else "absent", "present" if sound else "absent")
    return Clip(frames, times, waveform, sound_start, 16000, seconds, *states, "generated")


def without(clip, sense):
    """The clip without its picture or its sound, as long as before."""
    if sense == "picture":
        return replace(clip, picture="absent", frames=clip.frames[:0], frame_times=clip.frame_times[:0])
    return replace(clip, sound="absent", waveform=clip.waveform[:0])


def subsets(seconds, seed=0):
    """A clip with both senses, either and neither, all as long."""
    both = make_clip(seconds, seed=seed)
    seen, heard = without(both, "sound"), without(both, "picture")
    return {"both": both, "picture": seen, "sound": heard, "neither": without(seen, "picture")}


def asked(*clips, question=QUESTION):
    """One turn about some clips."""
    parts = [{"type": "video", "video": clip} for clip in clips]
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}


def prepared(processor, *conversations):
    """A batch of conversations, each a list of turns or a clip to be asked about."""
    turns = [[asked(one)] if isinstance(one, Clip) else one for one in conversations]
    return processor.apply_chat_template(turns, tokenize=True, add_generation_prompt=True)


def soft_tokens(model, processor, *conversations):
    """{conversation: (n_tokens, llm_dim)}: the soft tokens of each medium, one after the other."""
    made = model.soft_tokens(prepared(processor, *conversations))
    return [values[mask] for values, mask in zip(made.values, made.mask, strict=True)]


def heard_streams(model):
    return {s for part in model.description.encoders.values() if part.sense == "sound" for s in part.dims}


def randomise(model, like, spread=0.2):
    """Move parameters that begin at zero (LoRA's B, an adapter's gates) to where training would have taken them."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if like in name:
                value.normal_(0, spread)


def assert_six_verbs(model, processor, clips):
    """prepare, encode, connect, splice, forward, generate fit together: each gives what the next one takes."""
    described, media_id = model.description, model.config.media_token_id
    inputs = prepared(processor, *clips)
    assert set(inputs) - {"input_ids", "attention_mask"} <= set(input_names(described))
    features = model.encode(inputs)
    assert features and set(features) <= set(described.streams)
    for stream, given in features.items():
        assert given.values.shape[:2] == given.mask.shape and len(given.mask) == len(clips), stream
        assert not given.values[~given.mask].any(), f"{stream} is not zero where it is not valid"
    questions = {name: inputs[name] for name in ("instruction_ids", "instruction_mask") if name in inputs}
    made = model.connect(features, inputs["media_milliseconds"], **questions)
    slots = inputs["input_ids"] == media_id
    assert made.mask.sum(1).tolist() == slots.sum(1).tolist(), "as many placeholders as soft tokens, row by row"
    assert made.values.shape[-1] == model.config.get_text_config().hidden_size and made.values.isfinite().all()
    embeds = model.splice(inputs["input_ids"], made.values[made.mask])
    assert torch.equal(embeds[slots], made.values[made.mask])
    assert torch.equal(embeds[~slots], model.get_input_embeddings()(inputs["input_ids"][~slots]))
    logits = model(**inputs).logits
    spliced = model.language_model(inputs_embeds=embeds, attention_mask=inputs["attention_mask"]).logits
    torch.testing.assert_close(logits, spliced)
    told = model.generate(**inputs, max_new_tokens=2, num_beams=1, do_sample=False, repetition_penalty=1.0)
    first = told[:, inputs["input_ids"].shape[1]]
    assert torch.equal(first, logits[:, -1].argmax(-1)) and int(told.max()) <= media_id
    encoded = {f"{stream}_{what}": value for stream, f in features.items() for what, value in _pair(f)}
    ready = {**encoded, **questions, "media_milliseconds": inputs["media_milliseconds"]}
    again = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **ready).logits
    torch.testing.assert_close(again, logits)


def _pair(features):
    return ("features", features.values), ("mask", features.mask)
