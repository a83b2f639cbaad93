"""SALMONN's, video-SALMONN's and LLaVA-style annotation files, in the layout that the published code reads."""

import json

import pytest

from earsight.data import importers
from earsight.data.problems import Problems
from earsight.data.published_annotations import llava_style, salmonn, video_salmonn
from earsight.data.records import Record
from earsight.errors import EarsightError


def said(*turns, key="conversations"):
    names = ("human", "gpt")
    return {key: [{"from": names[index % 2], "value": text} for index, text in enumerate(turns)]}


@pytest.fixture
def read(tmp_path):
    """Records of a file of this content, and what was reported: "line reason"."""

    def reads(importer, content, **options):
        path, problems = tmp_path / "some.json", Problems(kept=100)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=0))
        found = list(importer(path, problems, **options))
        assert [Record.of(one.to_json()) for one in found] == found
        assert len({one.id for one in found}) == len(found)
        return found, [reason for some in problems.first.values() for _, reason in some]

    return reads


def asked(record):
    return record.messages[0]["content"]


def answer(record):
    return record.messages[-1]["content"][0]["text"]


SALMONN = """{
    "annotation": [
        {"path": "LibriSpeech/a.flac", "text": "HELLO"},
        {"path": "clips/b.wav", "text": "A dog barks.", "task": "audiocaption_v2"},
        {"path": "LibriSpeech/a.flac", "text": "A greeting.", "task": "QA", "Q": "What is it?"},
        {"path": "vox/c.wav", "expand_wav": ["vox/d.wav"], "text": "Yes", "task": "speaker_verification"}
    ]
}"""


def test_salmonns_own_file_is_read_with_its_defaults(read):
    found, told = read(salmonn, SALMONN)
    assert [one.task for one in found] == ["asr", "audio_caption", "audio_qa", "speaker_verification"]
    assert asked(found[0]) == [{"type": "audio", "path": "LibriSpeech/a.flac"}]
    assert (found[0].id, found[2].id) == ("salmonn/LibriSpeech/a.flac", "salmonn/LibriSpeech/a.flac#2")
    assert asked(found[2])[1] == {"type": "text", "text": "What is it?"}
    assert [answer(one) for one in found] == ["HELLO", "A dog barks.", "A greeting.", "Yes"]
    assert told == []


def test_joined_recordings_are_kept_one_after_the_other(read):
    found, _ = read(salmonn, SALMONN)
    assert asked(found[3]) == [{"type": "audio", "path": "vox/c.wav"}, {"type": "audio", "path": "vox/d.wav"}]
    assert found[3].extra == {"joined_with_silence_seconds": 0.1}


def test_what_is_damaged_in_salmonns_file_is_reported_and_left_out(read):
    items = [
        {"text": "no path"},
        {"path": "a.wav", "text": "", "task": "asr"},
        {"path": "a.wav", "text": "x", "task": "QA"},
        {"path": "a.wav", "text": "x", "task": "mystery"},
        {"path": "a.wav", "text": "x", "expand_wav": "b.wav"},
        {"path": "a.wav"},
        {"path": "good.wav", "text": "GOOD"},
    ]
    found, told = read(salmonn, {"annotation": items})
    assert [one.id for one in found] == ["salmonn/good.wav"]
    assert len(told) == 6
    assert any("no prompt for 'mystery'" in one for one in told) and any(
        "'expand_wav' is no list" in one for one in told
    )


def test_a_file_without_the_list_is_refused(read):
    with pytest.raises(EarsightError, match="expected an object with a list 'annotation'"):
        read(salmonn, {"annotations": []})


def test_a_pair_of_files_is_a_film_with_its_sound(read):
    items = [
        {"image_name": ["./dummy/1.mp4", "./dummy/1.wav"]} | said("Describe it.", "A band.", key="conversation"),
        {"image_name": ["only_need_video/2.mp4", "2.wav"]} | said("And?", "A cat.", key="conversation"),
        {"image_name": "761183272.jpg"} | said("What is it?", "A tree.", "And?", "Leaves.", key="conversation"),
        {"image_name": "1272-128104-0000.flac"} | said("<asr>", "HELLO", key="conversation"),
        {"image_name": "5.flac"} | said("Describe the audio", "Rattling.", key="conversation"),
    ]
    found, told = read(video_salmonn, items)
    assert told == []
    assert asked(found[0])[0] == {"type": "video", "path": "./dummy/1.mp4", "sound": "./dummy/1.wav"}
    assert asked(found[1])[0]["audio"] == "ignore"
    assert [one.task for one in found] == ["av_qa", "av_qa", "image_conversation", "asr", "audio_qa"]
    assert [message["role"] for message in found[2].messages] == ["user", "assistant", "user", "assistant"]
    assert asked(found[3]) == [{"type": "audio", "path": "1272-128104-0000.flac"}], "the prompt is drawn by task"


def test_spoken_captions_match_in_about_half_of_the_items_the_same_each_time(read):
    items = [
        {"image_name": [f"{n}.jpg", f"SpokenCOCO/{n}.wav"]} | said("Fit?", "audio_text_matching", key="conversation")
        for n in range(200)
    ]
    found, _ = read(video_salmonn, items, seed=1)
    fits = [asked(one)[0]["sound"] == f"SpokenCOCO/{one.messages[0]['content'][0]['path'][:-4]}.wav" for one in found]
    assert [answer(one) for one in found] == ["Yes" if fit else "No" for fit in fits]
    assert 70 < sum(fits) < 130
    again, _ = read(video_salmonn, items, seed=1)
    other, _ = read(video_salmonn, items, seed=2)
    assert again == found and other != found
    assert {one.task for one in found} == {"spoken_caption_matching"}


def test_what_is_damaged_among_video_salmonns_items_is_reported(read):
    items = [
        {"image_name": ["a.wav", "a.mp4"]} | said("A?", "B", key="conversation"),
        {"image_name": "a.txt"} | said("A?", "B", key="conversation"),
        {"image_name": "a.mp4", "conversation": [["A?", "B"]]},
        {"image_name": "a.mp4"} | said("A?", key="conversation"),
        {"image_name": "a.wav"} | said("<count_audio>", "3", key="conversation"),
        {"image_name": ["a.jpg", "a.wav"]} | said("Fit?", "audio_text_matching", key="conversation"),
        "nothing",
    ]
    outcomes = set()
    for seed in range(20):
        found, told = read(video_salmonn, items, seed=seed)
        assert len(told) == 7 - len(found)
        outcomes.add(answer(found[0]) if found else next(one for one in told if "no other spoken caption" in one))
    assert outcomes == {"Yes", "no other spoken caption to draw a false one from"}


def test_media_of_llava_stand_where_their_marks_stand(read):
    items = [
        {"id": "1", "image": "a.jpg"} | said("<image>\nWhat is it?", "A cat.", "Its colour?", "Red."),
        {"id": "2", "image": "b.jpg"} | said("What is it?\n<image>", "A dog."),
        {"id": "2", "image": ["c.jpg", "d.jpg"]} | said("Is <image> like <image>?", "No."),
        {"id": "3", "video": "e.mp4"} | said("Tell me.", "A film."),
        {"id": "4"} | said("Hello?", "Hello."),
        {"id": "5", "image": "f.jpg"} | said("<image>", "A caption."),
    ]
    found, told = read(llava_style, items, folder="train2017")
    assert told == []
    assert [[part.get("path") or part["text"] for part in asked(one)] for one in found] == [
        ["train2017/a.jpg", "What is it?"],
        ["What is it?", "train2017/b.jpg"],
        ["Is", "train2017/c.jpg", "like", "train2017/d.jpg", "?"],
        ["train2017/e.mp4", "Tell me."],
        ["Hello?"],
        ["train2017/f.jpg"],
    ]
    assert [one.id for one in found][1:3] == ["llava_style/2", "llava_style/2#2"]
    assert [one.task for one in found][2:5] == ["image_conversation", "video_conversation", "conversation"]


def test_valleys_videos_have_a_folder_by_source_and_no_ending(read):
    item = {"id": "1", "v_id": "x", "video": "FkrOl5B_LHo", "source": "VATEX"} | said("Look.\n<video>", "A dance.")
    found, _ = read(llava_style, [item], folder="videos")
    assert asked(found[0])[1] == {"type": "video", "path": "videos/VATEX/FkrOl5B_LHo.mp4"}


def test_video_chatgpt_names_features_or_questions(read):
    items = [
        {"id": "v_a.b", "video": "v_a.b.pkl"} | said("<video>\nWhat?", "A swim."),
        {"q": "Why?", "a": "For fun.", "video_id": "v_c"},
    ]
    found, told = read(llava_style, items, suffix=".mkv")
    assert [part["path"] for one in found for part in asked(one) if part["type"] == "video"] == ["v_a.b.mkv", "v_c.mkv"]
    assert answer(found[1]) == "For fun." and told == []


def test_what_is_damaged_in_a_llava_style_file_is_reported(read):
    items = [
        {"id": "1", "image": "a.jpg"} | said("<image> and <image>", "Two."),
        {"id": "2", "image": ""} | said("What?", "That."),
        {
            "id": "3",
            "image": "a.jpg",
            "conversations": [{"from": "gpt", "value": "A"}, {"from": "human", "value": "B"}],
        },
        {"id": "4", "image": "a.jpg"} | said("What?", ""),
        {"id": "5", "image": "a.jpg", "conversations": [{"from": "bing", "value": "A"}]},
        {"id": "6", "image": "a.jpg"},
        [],
    ]
    found, told = read(llava_style, items)
    assert found == [] and len(told) == 7


def test_an_image_mark_without_text_in_a_later_turn_is_reported(read):
    item = {"id": "1", "image": "a.jpg"} | said("Hello?", "Hello.", "<image>", "A cat.")
    found, told = read(llava_style, [item])
    assert found == [] and "no text" in told[0]


def test_each_kind_of_file_can_be_imported_by_name(tmp_path):
    (tmp_path / "mine.json").write_text(SALMONN)
    problems = Problems()
    for split in ("mine", "mine.json"):
        found = list(importers.get("salmonn_annotation")(tmp_path, split, problems=problems, source="own"))
        assert [one.source for one in found] == ["own"] * 4
    (tmp_path / "seen.json").write_text(json.dumps([{"image_name": "a.jpg"} | said("A?", "B", key="conversation")]))
    assert len(list(importers.get("video_salmonn_annotation")(tmp_path, "seen", problems=problems))) == 1
    (tmp_path / "told.json").write_text(json.dumps([{"id": "1", "image": "a.jpg"} | said("A?", "B")]))
    assert len(list(importers.get("llava_style")(tmp_path, "told", problems=problems))) == 1
    with pytest.raises(EarsightError, match=r"none.json: cannot be read \(No such file"):
        list(importers.get("llava_style")(tmp_path, "none", problems=problems))
