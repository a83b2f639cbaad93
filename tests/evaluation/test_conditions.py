"""A condition takes away what it says, and nothing else; where there is nothing to take, nothing is asked twice."""

import wave

import numpy as np
import pytest
from made_benchmark import dozen, record
from PIL import Image

from earsight.errors import EarsightError
from earsight.evaluation.conditions import CONDITIONS, chosen, effective, messages_under, with_white_noise
from earsight.evaluation.runner import Ask, Asker, asks
from earsight.model.media_inputs import MEDIA_TOKEN

BY_ID = {one.id: one for one in dozen()}
FILM, PICTURE, SOUND = BY_ID["matching/1"], BY_ID["picture_name/1"], BY_ID["sound_kind/1"]


def wavfile(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


def laid(assistant, benchmark, record, condition):
    """What a record's only medium is laid out as, and how many media placeholders its prompt has."""
    asker = Asker(assistant, benchmark)
    ((_, made),) = asker.prepared([Ask(condition, record)])
    token = assistant.processor.tokenizer.convert_tokens_to_ids(MEDIA_TOKEN)
    return (made.laid[0] if made.laid else None), made.ids.count(token)


def test_full_meets_a_film_with_both_senses(assistant, benchmark):
    one, n_tokens = laid(assistant, benchmark, FILM, "full")
    assert (one.clip.picture, one.clip.sound) == ("present", "present")
    assert n_tokens == one.n_soft_tokens > 0 and one.frames and one.pieces


def test_text_only_leaves_the_question_and_no_placeholder(assistant, benchmark):
    one, n_tokens = laid(assistant, benchmark, FILM, "text only")
    assert one is None and n_tokens == 0
    left = messages_under("text only", FILM.messages)
    assert left[0]["content"] == [{"type": "text", "text": "Do they match?"}]
    assert left[1] == FILM.messages[1] and len(FILM.messages[0]["content"]) == 2, "the record itself stays"


def test_picture_only_ignores_the_sound(assistant, benchmark):
    one, _ = laid(assistant, benchmark, FILM, "picture only")
    assert (one.clip.picture, one.clip.sound) == ("present", "ignored")
    assert one.frames and not one.pieces


def test_sound_only_ignores_the_picture(assistant, benchmark):
    one, _ = laid(assistant, benchmark, FILM, "sound only")
    assert (one.clip.picture, one.clip.sound) == ("ignored", "present")
    assert not one.frames and one.pieces


PICTURES = [{"type": "image", "path": f"media/{name}.png"} for name in ("1", "noise")]
SOUNDS = [{"type": "audio", "path": f"media/{name}.wav"} for name in ("1", "noise")]
JOINED = [{**one, "sound": "media/1.wav"} for one in PICTURES]
OTHER_SOUND = [{**PICTURES[0], "sound": one["path"]} for one in SOUNDS]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    ("parts", "condition"),
    [
        (PICTURES, "sound only"),
        (SOUNDS, "picture only"),
        (JOINED, "sound only"),
        (OTHER_SOUND, "picture only"),
        (JOINED, "text only"),
    ],
)
def test_media_that_differ_in_a_sense_are_answered_alike_without_it(
    assistant, benchmark, tmp_path, parts, condition, cached
):
    draw, folder = np.random.default_rng(0), benchmark.folder / "media"
    wavfile(folder / "noise.wav", draw.normal(0, 8000, 17600).astype("<i2"))  # as long as 1.wav
    Image.fromarray(draw.integers(0, 255, (60, 60, 3), dtype=np.uint8)).save(folder / "noise.png")
    wanted = [
        Ask(one, record("matching", n, part, "What is it?", "Yes."))
        for one in ("full", condition)
        for n, part in enumerate(parts)
    ]
    asker = Asker(assistant, benchmark)
    if cached:
        asker.keep_features(tmp_path / "features", wanted)
        assert asker.store is not None
    samples = [made for _, made in asker.prepared(wanted)]
    told = [(one["reply"], one["logprob"]) for one in asker.answer(samples)]
    assert told[0] != told[1] and told[2] == told[3], "a still can be told by how sure the answer is"


def test_a_films_picture_does_not_come_in_by_a_sound_part(assistant, benchmark):
    film = record("matching", 9, {"type": "audio", "path": "media/1.mp4"}, "Is it?", "Yes.")
    one, _ = laid(assistant, benchmark, film, "full")
    assert (one.clip.picture, one.clip.sound) == ("ignored", "present")
    one, _ = laid(assistant, benchmark, film, "picture only")
    assert (one.clip.picture, one.clip.sound) == ("ignored", "ignored")


def test_white_noise_is_as_long_and_as_loud_as_the_sound_and_leaves_the_picture(assistant, benchmark):
    full, n_full = laid(assistant, benchmark, FILM, "full")
    noisy, n_noisy = laid(assistant, benchmark, FILM, "white noise")
    level = [float(np.sqrt(np.mean(one.clip.waveform**2))) for one in (full, noisy)]
    assert n_full == n_noisy and np.array_equal(full.clip.frames, noisy.clip.frames)
    assert len(full.clip.waveform) == len(noisy.clip.waveform)
    assert level[1] == pytest.approx(level[0], rel=0.02)
    flat = [np.abs(np.fft.rfft(one.clip.waveform)) for one in (full, noisy)]
    assert flat[0].max() / flat[0].mean() > 20 > flat[1].max() / flat[1].mean(), "a tone, and no tone"


def test_white_noise_is_the_same_in_every_run_and_silence_stays_silent(assistant, benchmark):
    first, second = (laid(assistant, benchmark, FILM, "white noise")[0] for _ in range(2))
    assert np.array_equal(first.clip.waveform, second.clip.waveform)
    clip = laid(assistant, benchmark, FILM, "picture only")[0].clip
    assert with_white_noise(clip, 0) is clip


def test_what_takes_nothing_away_is_asked_once_in_full():
    told = {
        one: {c for c in CONDITIONS if effective(c, BY_ID[one].messages) == "full"} for one in (PICTURE.id, SOUND.id)
    }
    assert told == {PICTURE.id: {"full", "picture only", "white noise"}, SOUND.id: {"full", "sound only"}}
    assert {effective(c, FILM.messages) for c in CONDITIONS} == set(CONDITIONS)
    wanted = asks([PICTURE, FILM], list(CONDITIONS))
    assert [one.key for one in wanted if one.record is PICTURE] == [
        ("full", PICTURE.id),
        ("text only", PICTURE.id),
        ("sound only", PICTURE.id),
    ]


def test_an_unheard_part_has_no_sound_to_take():
    muted = [{"role": "user", "content": [{"type": "video", "path": "a.mp4", "audio": "ignore"}]}]
    joined = [{"role": "user", "content": [{"type": "image", "path": "a.png", "sound": "a.wav"}]}]
    assert effective("white noise", muted) == effective("picture only", muted) == "full"
    assert effective("white noise", joined) == "white noise"
    assert effective("sound only", joined) == "sound only"


def test_an_unknown_condition_names_the_nearest():
    assert chosen(["full", "full"]) == ["full"] and chosen([]) == list(CONDITIONS)
    with pytest.raises(EarsightError, match="no condition 'text-only'; did you mean 'text only'?"):
        chosen(["text-only"])
