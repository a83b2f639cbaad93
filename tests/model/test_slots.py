"""Where each stream of a medium lands among its soft tokens, and how many of them there are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from contract import BUILT, asked, make_clip, prepared, soft_tokens
from contract import build as build_anew
from PIL import Image

from earsight import systems
from earsight.model.assistant import Assistant
from earsight.model.media_inputs import lay_out, soft_tokens_of
from earsight.types import Features

BY_TIME = [
    name
    for name in BUILT
    if systems.get(name).sound_pieces in ("clock", "bare") and not getattr(systems.get(name).connector, "said", "")
]
SAYS = [name for name in BUILT if getattr(systems.get(name).connector, "said", "")]
SALMONN_AS_RELEASED = {
    "encoders": {"speech": {"keep_padding": True}},
    "connector": {"last_window": "drop", "mask_padding": False},
}


@pytest.fixture
def encoded(build):
    """Features of a conversation, and what makes soft tokens of them: connect({stream: Features}) -> SoftTokens."""

    def encode(name, *conversations, untrained=False):
        model, processor = build_anew(name) if untrained else build(name)
        inputs = prepared(processor, *conversations)
        question = {key: inputs[key] for key in ("instruction_ids", "instruction_mask") if key in inputs}
        return model.encode(inputs), lambda given: model.connect(given, inputs["media_milliseconds"], **question)

    return encode


def painted(features, stream, medium, where):
    """The features, one stream of one medium replaced by a constant at `where` on its other axes."""
    values = features[stream].values.clone()
    values[(medium, *where)] = 0.7
    return {**features, stream: Features(values, features[stream].mask, features[stream].rate_hz)}


def changed(before, after, medium=0):
    """Which of a medium's soft tokens differ."""
    assert torch.equal(before.mask, after.mask)
    differ = (before.values[medium] - after.values[medium]).abs().amax(-1) > 1e-6
    return differ[before.mask[medium]].nonzero().flatten().tolist()


def window_of(connector):
    """Seconds and soft tokens of one window of a connector that reads by the clock."""
    levels = getattr(connector, "levels", None)
    if levels:
        return levels[-1].window_seconds, levels[-1].n_queries
    rounded = round(50 * connector.window_seconds) / 50  # whole frames of 20 ms
    return rounded, connector.n_queries


@pytest.mark.parametrize("name", BY_TIME)
def test_a_moment_of_each_stream_reaches_exactly_the_tokens_of_its_window(encoded, name):
    features, connect = encoded(name, make_clip(7.0))
    seconds, n_queries = window_of(systems.get(name).connector)
    plain = connect(features)
    assert set(features) == set(systems.get(name).streams)
    for stream, given in features.items():
        first, last = (round(edge * seconds * given.rate_hz) for edge in (1, 2))  # the second window
        assert given.mask[0, first:last].any()
        told = connect(painted(features, stream, 0, (slice(first, last),)))
        assert changed(plain, told) == list(range(n_queries, 2 * n_queries)), stream


@pytest.mark.parametrize("name", SAYS)
def test_what_is_said_has_tokens_of_its_own_after_the_queries_of_each_window(encoded, name):
    features, connect = encoded(name, make_clip(7.0))
    connector = systems.get(name).connector
    plain, size, reach = connect(features), connector.tokens_per_window, connector.said_kernel // 2
    for stream in connector.streams:
        given = features[stream]
        first, last = (round(edge * connector.window_seconds * given.rate_hz) for edge in (1, 2))
        told = connect(painted(features, stream, 0, (slice(first, last),)))
        # The second window's queries, and those of the third, which read the window before their own.
        queries = [range(at * size + connector.first_query, at * size + connector.first_said) for at in (1, 2)]
        assert changed(plain, told) == [place for some in queries for place in some], stream
    step = connector.positions + connector.positions // 2  # in the middle of the second window
    told = connect(painted(features, connector.said, 0, (step,)))
    met = [place % size - connector.first_said + place // size * connector.positions for place in changed(plain, told)]
    farthest = connector.said_blocks * reach
    assert met and min(met) >= step - farthest and max(met) <= step + farthest and step in met
    assert all(place % size >= connector.first_said for place in changed(plain, told))


@pytest.mark.parametrize("name", ["av_llm/tiny", "av_llm/starter"])
def test_audio_visual_llm_has_temporal_then_spatial_then_auditory_tokens(encoded, name):
    clip = make_clip(7.0, n_frames=4)
    features, connect = encoded(name, clip)
    plain = connect(features)
    n_frames, n_patches = features["vision"].values.shape[1], features["vision"].values.shape[2] - 1
    n_segments = features["sound"].values.shape[1]
    assert int(plain.mask.sum()) == n_frames + n_patches + n_segments
    assert changed(plain, connect(painted(features, "vision", 0, (2, 0)))) == [2], "a frame's CLS token"
    patches = connect(painted(features, "vision", 0, (1, slice(1, None))))
    assert changed(plain, patches) == list(range(n_frames, n_frames + n_patches)), "its patches"
    for segment in (0, n_segments - 1):
        told = connect(painted(features, "sound", 0, (segment,)))
        assert changed(plain, told) == [n_frames + n_patches + segment]


@pytest.mark.parametrize("name", ["dolphin/tiny", "dolphin/starter"])
def test_dolphin_has_both_senses_spatial_tokens_then_two_tokens_a_frame(encoded, name):
    features, connect = encoded(name, make_clip(4.0, n_frames=4), untrained=True)  # then the towers stay apart
    plain = connect(features)
    n_visual, n_audio = (features[stream].values.shape[2] - 1 for stream in ("vision", "sound"))
    spatial = n_visual + n_audio
    assert int(plain.mask.sum()) == spatial + 2 * 4
    seen, heard = (changed(plain, connect(painted(features, stream, 0, (2,)))) for stream in ("vision", "sound"))
    pair = [spatial + 4, spatial + 5]  # of frame 2: each of the two reads the other
    assert seen == [*range(n_visual), *pair]
    assert heard == [*range(n_visual, spatial), *pair]


@pytest.mark.parametrize("name", BUILT)
def test_two_clips_in_a_turn_have_slots_of_their_own(encoded, build, name):
    model, processor = build(name)
    first, second = make_clip(3.2, seed=1), make_clip(5.1, seed=2)
    features, connect = encoded(name, [asked(first, second)])
    plain = connect(features)
    for stream in features:
        told = connect(painted(features, stream, 1, (slice(None),)))
        assert changed(plain, told, medium=0) == [] and changed(plain, told, medium=1), stream
    ids = prepared(processor, [asked(first, second)])["input_ids"]
    n_tokens = [len(one) for one in soft_tokens(model, processor, [asked(first, second)])]
    assert runs(ids[0], model.config.media_token_id) == n_tokens
    swapped = soft_tokens(model, processor, [asked(second, first)])
    torch.testing.assert_close(torch.cat(swapped[::-1]), plain.values[plain.mask])


def runs(ids, media_id):
    """Lengths of the runs of placeholders in a prompt."""
    marks = "".join("x" if one == media_id else " " for one in ids.tolist())
    return [len(run) for run in marks.split()]


@pytest.mark.parametrize(
    ("name", "values", "by_seconds"),
    [
        ("salmonn/13b", None, {30.0: 89, 1.0: 3, 0.3: 3}),
        ("salmonn/13b", SALMONN_AS_RELEASED, {30.0: 88, 1.0: 88, 0.3: 88}),
        ("video-salmonn/13b", None, {30.0: 180, 5.0: 30, 1.0: 30}),
        ("av-llm/7b", None, {30.0: 292, 1.0: 292, 60.0: 294}),
        ("dolphin/7b", None, {30.0: 500, 1.0: 500}),
        ("dolphin/7b", {"connector": {"audio_spatial_tokens": False}}, {30.0: 272}),
    ],
)
def test_published_sizes_and_released_settings_make_the_published_number_of_tokens(name, values, by_seconds):
    system = systems.get(name, values)
    for seconds, n_tokens in by_seconds.items():
        assert soft_tokens_of(system, seconds) == n_tokens
        assert lay_out(sampled(system, seconds), system).n_soft_tokens == n_tokens


def sampled(system, seconds):
    """A clip of so many seconds as the media layer samples it for a system, with small frames."""
    n_frames = system.n_frames or min(max(1, int(-(-seconds * system.frames_per_second // 1))), system.max_frames)
    frames = np.zeros((n_frames, 8, 8, 3), dtype=np.uint8)
    share = seconds / n_frames if system.n_frames or n_frames == system.max_frames else 1 / system.frames_per_second
    waveform = np.full(round(seconds * system.sample_rate_hz), 0.1, dtype=np.float32)
    clip = make_clip(seconds, picture=False, sound=False)
    there = {"picture": "present", "sound": "present", "sample_rate_hz": system.sample_rate_hz}
    return replace(clip, frames=frames, frame_times=np.arange(n_frames) * share, waveform=waveform, **there)


@pytest.mark.parametrize("name", [f"{name}/{v}" for name in systems.names() for v in systems.variants(name)])
def test_a_plans_count_is_that_of_a_clip_of_this_length(name):
    system = systems.get(name)
    for seconds in (0.2, 1.0, 2.96, 7.5, 10.0, 30.02, 64.3):
        laid = lay_out(sampled(system, seconds), system)
        assert laid.n_soft_tokens == soft_tokens_of(system, seconds), seconds


def test_a_still_picture_is_followed_by_its_parts_in_the_spotlight(tmp_path):
    model, processor = build_anew("video_salmonn/tiny", spotlight_grid=2)
    pixels = np.random.default_rng(0).integers(0, 255, (56, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "still.png")
    inputs = prepared(processor, [asked(str(tmp_path / "still.png"))])
    assert inputs["vision_at"].tolist() == [0, 1, 2, 3, 4] and inputs["vision_hold"].tolist() == [1] * 5
    part = processor.description.encoders["vision"]
    shown = [pixels, pixels[:28, :28], pixels[:28, 28:], pixels[28:, :28], pixels[28:, 28:]]
    torch.testing.assert_close(inputs["vision_values"], part.prepare(shown)["values"])
    assert model.encode(inputs)["vision"].mask.tolist() == [[True] * 5]
    assert len(soft_tokens(model, processor, [asked(str(tmp_path / "still.png"))])[0]) == 6, "two windows of 1.5 s"
    answer = Assistant(model, processor).ask(str(tmp_path / "still.png"), "What is it?", max_new_tokens=2)
    assert answer.seen == "1 picture" and answer.missing == ("sound: absent",)


def test_a_still_picture_with_sound_is_on_every_step_of_it(build):
    model, processor = build("video_salmonn/tiny")
    seen = model.encode(prepared(processor, make_clip(3.2, n_frames=1)))["vision"]
    assert seen.mask.tolist() == [[True] * 7]  # half seconds
    torch.testing.assert_close(seen.values, seen.values[:, :1].expand_as(seen.values))
    model, processor = build("dolphin/tiny")
    features = model.encode(prepared(processor, make_clip(3.2, n_frames=1)))
    assert features["vision"].mask.tolist() == features["sound"].mask.tolist() == [[True] * 4]
    assert not torch.equal(features["sound"].values[0, 0], features["sound"].values[0, 3]), "moments of the sound"


def test_each_frame_of_a_thinned_clip_stays_until_the_next(build):
    model, processor = build("video_salmonn/tiny")
    assert model.description.max_frames == 16
    seen = model.encode(prepared(processor, make_clip(20.0, n_frames=16)))["vision"]  # a frame each 1.25 s, 40 steps
    assert seen.mask.shape == (1, 40) and bool(seen.mask.all())
    first = [int(moment * 2) for moment in np.arange(16) * 1.25]
    for step in range(40):
        frame = max(one for one in first if one <= step)
        assert torch.equal(seen.values[0, step], seen.values[0, frame])
    distinct = {tuple(row.flatten()[:8].tolist()) for row in seen.values[0]}
    assert len(distinct) == 16
    few = model.encode(prepared(processor, make_clip(5.0, n_frames=3)))["vision"]
    assert int(few.mask.sum()) == 3, "below the limit a frame counts for its own step"
