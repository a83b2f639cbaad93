"""Prompts are drawn by seed, record and epoch, for every task that is trained on."""

from collections import Counter

import pytest

from earsight.data import importers, prompts
from earsight.errors import EarsightError

# What the four papers train on (SALMONN, section 4.2; video-SALMONN, 4.3; Audio-Visual LLM, 4.1; Dolphin, 4).
TRAINED = [
    "asr", "translation_en_zh", "translation_en_de", "translation_en_ja", "audio_caption", "phone_recognition",
    "keywords", "story", "emotion_recognition", "music_caption", "overlapped_asr", "speaker_verification",
    "gender_recognition", "speech_qa", "audio_qa", "music_qa", "image_caption", "visual_qa", "ocr_qa",
    "video_qa", "video_caption", "av_asr", "av_description", "av_qa", "av_matching", "av_source",
]  # fmt: skip


@pytest.mark.parametrize("task", sorted({*TRAINED, *prompts.tasks()}))
def test_every_task_has_four_paraphrases_or_more_and_none_twice(task):
    said = prompts.PROMPTS[task]
    assert len(set(said)) == len(said) >= 4
    assert all(one.strip() == one and one for one in said)
    assert len({prompts.QUESTION in one for one in said}) == 1, "some templates want a question and others none"


def test_the_same_seed_record_and_epoch_give_the_same_prompt():
    drawn = prompts.prompt_for("asr", 1, "books/7", 2)
    assert drawn == prompts.prompt_for("asr", 1, "books/7", 2)
    changed = [[prompts.prompt_for("asr", *key) for key in keys] for keys in (
        [(seed, "books/7", 2) for seed in range(20)],
        [(1, f"books/{number}", 2) for number in range(20)],
        [(1, "books/7", epoch) for epoch in range(20)],
    )]  # fmt: skip
    assert all(len(set(some)) > 3 for some in changed)


def test_every_paraphrase_is_drawn_about_equally_often():
    said = prompts.PROMPTS["asr"]
    counts = Counter(prompts.prompt_for("asr", 0, f"books/{number}", 0) for number in range(200 * len(said)))
    assert set(counts) == set(said) and all(140 < count < 260 for count in counts.values())


def test_a_question_is_put_into_its_template_as_it_is():
    asked = {prompts.prompt_for("audio_qa", 0, str(number), 0, "Who {barks}?") for number in range(50)}
    assert len(asked) > 3 and all("Who {barks}?" in one for one in asked)


def test_a_task_without_prompts_or_question_is_refused_with_the_nearest_name():
    with pytest.raises(EarsightError, match="books/1: no prompt for 'audio_captoin'.*did you mean audio_caption"):
        prompts.prompt_for("audio_captoin", 0, "books/1", 0)
    with pytest.raises(EarsightError, match="'speech_qa' asks the data set's own question"):
        prompts.prompt_for("speech_qa", 0, "books/1", 0)


def test_importers_are_found_by_name_and_the_nearest_is_named():
    assert {"librispeech", "llava", "ave", "salmonn_annotation"} <= set(importers.names())
    assert not [name for name in importers.names() if name.startswith("_")]
    assert importers.get("vgg-soundsource") is importers.get("vgg_soundsource")
    with pytest.raises(EarsightError, match="no importer 'libri_speech'; .*did you mean librispeech"):
        importers.get("libri_speech")
