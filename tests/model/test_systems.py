"""Every system, tiny and of the starter's parts at small sizes: its verbs, gradients, absent senses, batches, sizes."""

from dataclasses import replace

import pytest
import torch
from contract import (
    BUILT,
    QUESTION,
    asked,
    assert_six_verbs,
    heard_streams,
    make_clip,
    prepared,
    randomise,
    soft_tokens,
    subsets,
    without,
)
from contract import (
    build as build_anew,
)

from earsight import systems
from earsight.checkpoints.build import build_random
from earsight.checkpoints.trained_weights import make_trainable
from earsight.errors import EarsightError, MediaError, PromptError
from earsight.model import register
from earsight.model.assistant import Assistant
from earsight.training.freezing import heads_of_words
from earsight.types import Features


def test_the_six_verbs_fit_together(built):
    assert_six_verbs(*built, [make_clip(5.0, seed=1), make_clip(2.6, seed=2)])


def test_these_models_are_neither_blind_nor_deaf(built):
    model, processor = built
    clip, other = make_clip(4.0, seed=1), make_clip(4.0, seed=2)
    unseen = replace(clip, frames=other.frames)
    unheard = replace(clip, waveform=0.1 * torch.sin(torch.arange(64000) * 0.2).numpy())
    plain = soft_tokens(model, processor, clip)[0]
    for sense, changed in (("picture", unseen), ("sound", unheard)):
        differ = (plain - soft_tokens(model, processor, changed)[0]).norm() / plain.norm()
        assert (differ > 1e-2) == (sense in model.description.senses), sense


def loss_of(model, processor, clips):
    inputs = prepared(processor, *clips)
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == model.config.media_token_id, -100)
    return model(**inputs, labels=labels.masked_fill(inputs["attention_mask"] == 0, -100)).loss


def gradients(model):
    """{parameter: whether any of its gradient is not zero}, of those that got one."""
    found = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return {name: bool(value.any()) for name, value in found.items()}


@pytest.mark.parametrize("name", BUILT)
def test_training_moves_all_of_the_connector_and_the_lora_or_the_language_model_and_no_encoder(name):
    one_query = getattr(systems.get(name).connector, "n_queries", 0) == 1  # alone, a query asks nothing of itself
    model, processor = build_anew(name, **({"connector": {"n_queries": 2}} if one_query else {}))
    make_trainable(model)
    randomise(model, "lora_B")
    randomise(model, "gates")
    before = {key: value.clone() for key, value in model.encoders.state_dict().items()}
    optimiser = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1)
    loss_of(model, processor, [make_clip(5.0, seed=1), make_clip(2.0, seed=2)]).backward()
    trained = ".lora_" if model.description.lora else "language_model."
    wanted = {n for n, _ in model.named_parameters() if n.startswith("connector.") or trained in n}
    wanted -= {n for n, _ in model.named_parameters() if heads_of_words(n)}  # no answer goes through these
    found = gradients(model)
    assert set(found) == wanted
    # A bias of keys moves all scores of a query alike.
    assert [n for n, moved in found.items() if not moved and not n.endswith("key.bias")] == []
    optimiser.step()
    assert all(torch.equal(value, before[key]) for key, value in model.encoders.state_dict().items())


@pytest.mark.parametrize("name", ["dolphin/tiny", "dolphin/starter"])
def test_an_untrained_adapter_learns_its_gates_first_and_then_what_lies_inside_the_frozen_towers(name):
    model, processor = build_anew(name)
    make_trainable(model)
    inside = ("pyramid", "exchanges", "injections", "extractions", "feed_forward")
    for moved in (False, True):
        if moved:
            randomise(model, "gates")
        model.zero_grad(set_to_none=True)
        loss_of(model, processor, [make_clip(4.0)]).backward()
        found = gradients(model)
        assert all(found[n] for n in found if "gates" in n)
        assert {found[n] for n in found if any(part in n for part in inside)} == {moved}


@pytest.mark.parametrize("name", [one for one in BUILT if one.endswith("/starter")])
def test_of_the_starters_parts_every_system_is_built_at_real_sizes_without_memory(name):
    model = build_random(name, {"language_model": systems.TINY_LLAMA}, meta=True)
    assert {value.device.type for value in model.parameters()} == {"meta"}
    counts = {n: sum(value.numel() for value in part.parameters()) for n, part in model.encoders.items()}
    for n, part in model.description.encoders.items():
        # EfficientNet-Lite2 without its classifier; Whisper base's encoder with positions for one chunk.
        n_positions = getattr(part, "n_frames", 0)
        assert counts[n] == (4_811_072 if part.sense == "picture" else 19_822_592 + 512 * n_positions)
    connector = sum(value.numel() for value in model.connector.parameters())
    assert 100_000 < connector < 8_000_000


@pytest.mark.parametrize("name", BUILT)
def test_saved_and_loaded_it_gives_the_same_answer(build, name, tmp_path):
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    model, processor = build(name)
    register()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = Assistant(AutoModelForMultimodalLM.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path))
    clip = make_clip(5.0, seed=1)
    first, second = (one.ask(clip, QUESTION, max_new_tokens=8) for one in (Assistant(model, processor), again))
    assert replace(first, timings={}) == replace(second, timings={}) and first.n_tokens > 1


def test_a_sense_that_is_absent_has_no_tokens_or_is_zeros_as_the_connector_says(built):
    model, processor = built
    described, clips = model.description, subsets(4.0)
    n = {name: len(soft_tokens(model, processor, clip)[0]) for name, clip in clips.items()}
    slots = {name: prepared(processor, clip)["input_ids"] for name, clip in clips.items()}
    assert {name: int((ids == model.config.media_token_id).sum()) for name, ids in slots.items()} == n
    if described.connector.absent == "zeros":
        assert n["both"] == n["picture"] == n["sound"] > 0
        return
    assert n["neither"] == 0 and n["both"] >= max(n["picture"], n["sound"]) > 0
    assert (n["picture"] > 0) == ("picture" in described.senses), "what is not perceived has no tokens"
    if "picture" not in described.senses:
        assert n["both"] == n["sound"]


@pytest.mark.parametrize("name", [one for one in BUILT if systems.get(one).connector.absent == "zeros"])
def test_zeros_are_read_where_a_sense_is_absent(build, name):
    model, processor = build(name)
    inputs = prepared(processor, make_clip(4.0))
    features = model.encode(inputs)
    question = {name: inputs[name] for name in ("instruction_ids", "instruction_mask") if name in inputs}
    for streams in (heard_streams(model), set(features) - heard_streams(model)):
        kept = {s: f for s, f in features.items() if s not in streams}
        gone = {s: Features(f.values * 0, f.mask & False, f.rate_hz) for s, f in features.items() if s in streams}
        dropped, zeros = (
            model.connect(given, inputs["media_milliseconds"], **question) for given in (kept, {**kept, **gone})
        )
        torch.testing.assert_close(dropped.values, zeros.values)


def test_absent_sound_leaves_the_pictures_tokens_unchanged(build):
    model, processor = build("av_llm/tiny")
    clip = make_clip(4.0)
    both, seen = (soft_tokens(model, processor, one)[0] for one in (clip, without(clip, "sound")))
    assert torch.equal(both[: len(seen)], seen) and len(both) > len(seen)


def test_every_mix_of_senses_in_a_batch_equals_its_members_alone(built):
    model, processor = built
    assert_batch_equals_single(model, processor, list(subsets(3.4, seed=3).values()))
    for clips in zip(subsets(5.0, seed=1).values(), subsets(2.6, seed=2).values(), strict=True):
        assert_batch_equals_single(model, processor, list(clips))


def test_a_batch_with_clips_longer_than_an_encoders_chunk_equals_its_members_alone(built):
    model, processor = built
    longest = max(getattr(part, "chunk_seconds", 3.0) for part in model.description.encoders.values())
    seconds = (longest * 1.3, longest * 2.1, longest - 0.4, 0.7)
    assert_batch_equals_single(model, processor, [make_clip(one, seed=i) for i, one in enumerate(seconds)])


def test_words_alone_share_a_batch_with_clips(built):
    model, processor = built
    words = [{"role": "user", "content": "Hello."}]
    assert_batch_equals_single(model, processor, [words, make_clip(2.0), words])


@torch.no_grad()
def assert_batch_equals_single(model, processor, members):
    """Logits at every position; members are padded on the left."""
    logits = model(**prepared(processor, *members)).logits
    for row, member in enumerate(members):
        alone = model(**prepared(processor, member)).logits[0]
        torch.testing.assert_close(logits[row, -len(alone) :], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [one for one in BUILT if systems.get(one).sound_pieces in ("clock", "bare")])
def test_sound_beyond_an_encoders_chunk_goes_on_where_the_first_chunk_ended(build, name):
    model, processor = build(name)
    described = model.description
    parts = [part for part in described.encoders.values() if part.sense == "sound"]
    long = make_clip(max(part.chunk_seconds for part in parts) * 2.2)
    whole, n_whole = model.encode(prepared(processor, long)), len(soft_tokens(model, processor, long)[0])
    for part in parts:
        n_samples = round(part.chunk_seconds * 16000)
        short = replace(long, waveform=long.waveform[:n_samples], duration_seconds=part.chunk_seconds)
        first = model.encode(prepared(processor, without(short, "picture")))
        for stream in part.dims:
            steps = first[stream].mask.shape[1]
            # A chunk that is filterbanks ends with frames that do not fill a patch: they are left empty.
            assert steps == part.n_steps(n_samples) and int(whole[stream].mask.sum()) > 2 * steps
            torch.testing.assert_close(whole[stream].values[:, :steps], first[stream].values, rtol=0, atol=1e-5)
            second = round(part.chunk_seconds * part.rate_hz)
            assert bool(whole[stream].mask[0, second]), f"{stream} goes on at step {second}"
        assert len(soft_tokens(model, processor, short)[0]) < n_whole


def test_an_audio_policy_counts_for_decoded_clips_too(built):
    model, processor = built
    clip, assistant = make_clip(3.0), Assistant(model, processor)
    ignored = assistant.ask(clip, QUESTION, audio="ignore", max_new_tokens=1)
    assert "sound: ignored" in ignored.missing and ignored.heard.startswith("nothing")
    with pytest.raises(MediaError, match="has no sound and sound is required"):
        assistant.ask(without(clip, "sound"), QUESTION, audio="require")
    by_processor = processor.apply_chat_template([asked(clip)], tokenize=True, audio_policy="ignore")
    assert not {f"{n}_values" for n, p in model.description.encoders.items() if p.sense == "sound"} & set(by_processor)
    with pytest.raises(PromptError, match="has its span already"):
        assistant.chat(clip, start_seconds=1.0)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("video-salmonn", ("video_salmonn", "")),
        ("Video-SALMONN/13B", ("video_salmonn", "13b")),
        ("starter/salmonn", ("salmonn", "starter")),
        ("starter-salmonn", ("salmonn", "starter")),
        ("starter-video-salmonn", ("video_salmonn", "starter")),
        ("dolphin/7b-lora", ("dolphin", "7b-lora")),
        ("starter/tiny", ("starter", "tiny")),
        ("starter", ("starter", "")),
    ],
)
def test_names_are_understood_in_the_forms_people_write(said, meant):
    assert systems.split(said) == meant


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("salmonn/14b", {}, "no variant '14b'; there are: 13b, 7b, starter, tiny"),
        ("salmon", {}, "did you mean salmonn?"),
        ("salmonn", {"conector": {}}, "did you mean connector?"),
        ("salmonn", {"connector": {"n_querys": 2}}, "did you mean n_queries?"),
        ("salmonn", {"encoders": {"spech": {}}}, "did you mean speech?"),
        ("salmonn", {"connector": 3}, "expected settings inside it"),
        ("salmonn", {"n_frames": "many", "max_frames": "many"}, "expected a number"),
    ],
)
def test_an_unknown_name_or_setting_is_one_line_that_names_the_nearest(name, values, told):
    with pytest.raises(EarsightError) as error:
        systems.get(name, values)
    assert told in str(error.value) and "\n" not in str(error.value)
