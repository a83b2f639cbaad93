"""Sounds: a few lines in each published layout become exactly these records; a damaged line is told of and left out."""

import json

import pytest
from published_layouts import audio, imported, record, write

from earsight.data.importers import audiocaps, clotho, wavcaps
from earsight.errors import EarsightError

WAVEFORMS = "mnt/fast/nobackup/scratch4weeks/xm00178/WavCaps/data/waveforms"
WIND = {
    "id": "Yb0RFKhbpFJA.wav",
    "caption": "Wind and a man speaking are heard.",
    "audio": "wav_path",
    "duration": 10.0,
}
RINGTONE = {
    "id": "180913",
    "file_name": "UK Mello.wav",
    "caption": "A traditional ringtone is playing.",
    "duration": 3.2,
}
RAIN = {"id": "55", "caption": "It rains all day.", "duration": 600}
DOOR = {"id": "56", "caption": "A door.", "duration": "3.2"}


def wavcaps_files() -> dict[str, str]:
    return {
        "json_files/AudioSet_SL/as_final.json": json.dumps({"num_captions_per_audio": 1, "data": [WIND]}, indent=4),
        "json_files/FreeSound/fsd_final.json": json.dumps({"data": [RINGTONE, DOOR, RAIN]}),
        "json_files/blacklist/blacklist_exclude_test_ac.json": json.dumps(
            {"FreeSound": ["180913"], "AudioSet": ["Yother.wav"]}
        ),
    }


def test_wavcaps_gives_captions_of_sounds_up_to_three_minutes(tmp_path):
    root = write(tmp_path, wavcaps_files())
    found, told = imported(wavcaps, root, "AudioSet_SL+FreeSound")
    wind, ringtone = (f"{WAVEFORMS}/{name}.flac" for name in ("AudioSet_SL_flac/Yb0RFKhbpFJA", "FreeSound_flac/180913"))
    use = "academic use only"
    assert found == [
        record("wavcaps/AudioSet_SL/Yb0RFKhbpFJA", "audio_caption", audio(wind), WIND["caption"], use),
        record("wavcaps/FreeSound/180913", "audio_caption", audio(ringtone), RINGTONE["caption"], use),
    ]
    assert told == ["json_files/FreeSound/fsd_final.json:1 no usable 'duration': '3.2'"]


def test_wavcaps_leaves_out_what_a_blacklist_names(tmp_path):
    root = write(tmp_path, wavcaps_files())
    black = "json_files/blacklist/blacklist_exclude_test_ac.json"
    found, _ = imported(wavcaps, root, "AudioSet_SL+FreeSound", exclude=black, audio="Audio/{subset}/{name}.flac")
    assert [one.messages[0]["content"][0]["path"] for one in found] == ["Audio/AudioSet_SL/Yb0RFKhbpFJA.flac"]


def test_wavcaps_questions_are_those_given(tmp_path):
    name = "FreeSound/180913"
    asked = [{"id": name, "question": "What rings?", "answer": "A telephone."}, {"id": name, "question": "Who?"}]
    root = write(tmp_path, wavcaps_files() | {"questions.json": json.dumps(asked)})
    found, told = imported(wavcaps, root, "FreeSound", task="audio_qa", questions=root / "questions.json")
    heard = audio(f"{WAVEFORMS}/FreeSound_flac/180913.flac")
    name, use = "wavcaps/FreeSound/180913/q1", "academic use only"
    assert found == [record(name, "audio_qa", heard, "A telephone.", use, question="What rings?")]
    assert told[-1] == "questions.json:1 no usable 'answer': None"
    with pytest.raises(EarsightError, match="not published; give questions=FILE"):
        imported(wavcaps, root, "FreeSound", task="audio_qa")


AUDIOCAPS = {
    "dataset/train.csv": "audiocap_id,youtube_id,start_time,caption\n"
    '91139,r1nicOVtvkQ,130,"A woman talks nearby, as water pours"\n'
    "58146,UDGBjjwyaqE,20,\n"
    "11542,aDCBAbfzdnk,x,Birds sing\n"
}


def test_audiocaps_gives_a_caption_each(tmp_path):
    found, told = imported(audiocaps, write(tmp_path, AUDIOCAPS), "train")
    text, use = "A woman talks nearby, as water pours", "academic use only"
    assert found[0] == record("audiocaps/91139", "audio_caption", audio("train/r1nicOVtvkQ_130.wav"), text, use)
    assert [one.id for one in found] == ["audiocaps/91139", "audiocaps/11542"]
    assert told == ["dataset/train.csv:3 nothing in column caption"]


def test_audiocaps_names_the_stretch_of_whole_videos(tmp_path):
    root = write(tmp_path, AUDIOCAPS)
    found, told = imported(audiocaps, root, "train", audio="sounds/{youtube_id}.wav", whole=True)
    text, use = "A woman talks nearby, as water pours", "academic use only"
    heard = audio("sounds/r1nicOVtvkQ.wav", 130.0, 140.0)
    assert found == [record("audiocaps/91139", "audio_caption", heard, text, use)]
    assert told[-1].startswith("dataset/train.csv:4 ")


def test_audiocaps_questions_are_those_given(tmp_path):
    asked = [{"id": "91139", "question": "What pours?", "answer": "Water."}]
    root = write(tmp_path, AUDIOCAPS | {"questions.json": json.dumps(asked)})
    found, _ = imported(audiocaps, root, "train", task="audio_qa", questions=root / "questions.json")
    heard, use = audio("train/r1nicOVtvkQ_130.wav"), "academic use only"
    assert found == [record("audiocaps/91139/q1", "audio_qa", heard, "Water.", use, question="What pours?")]


def test_clotho_gives_five_captions_a_clip_or_the_first(tmp_path):
    header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
    rows = 'Radio noise.wav,"A muddled noise, of a radio.",Two.,Three.,Four.,Five.\nTram.wav,"One, unclosed.,Two.\n'
    root = write(tmp_path, {"clotho_captions_development.csv": header + rows})
    found, told = imported(clotho, root, "development")
    heard, licence = audio("development/Radio noise.wav"), "Tampere University licence (non-commercial)"
    texts = ["A muddled noise, of a radio.", "Two.", "Three.", "Four.", "Five."]
    assert found == [
        record(f"clotho/development/Radio noise.wav/{number}", "audio_caption", heard, text, licence)
        for number, text in enumerate(texts, 1)
    ]
    assert len(told) == 1 and told[0].startswith("clotho_captions_development.csv:3 no table row from line 3 to here")
    assert imported(clotho, root, "development", n_captions=1)[0] == found[:1]


def test_another_layout_is_an_error_that_names_what_was_expected(tmp_path):
    with pytest.raises(EarsightError, match="clotho_captions_evaluation.csv: not there"):
        imported(clotho, tmp_path, "evaluation")
    root = write(tmp_path, {"dataset/val.csv": "id,caption\n1,Birds\n"})
    with pytest.raises(EarsightError, match="no column audiocap_id, youtube_id, start_time; there are: id, caption"):
        imported(audiocaps, root, "val")
    with pytest.raises(EarsightError, match="audiocaps has no task 'asr'; there are: audio_caption, audio_qa"):
        imported(audiocaps, root, "val", task="asr")
