"""Films and pictures with sound: a few lines in each published layout become exactly these records; a damaged entry is
told and left out."""

import importlib
import json

import pytest
from published_layouts import imported, record, write

import earsight.data.importers as importers
from earsight.data.importers import (
    acav100m,
    audioset,
    ave,
    avs,
    flickr_soundnet,
    llp,
    music,
    music_avqa,
    vgg_soundsource,
    vggsound,
)
from earsight.data.prompts import lacking
from earsight.data.records import Record
from earsight.errors import EarsightError


def film(path, **more):
    return {"type": "video", "path": path, **more, "audio": "require"}


def picture(path, sound):
    return {"type": "image", "path": path, "sound": sound, "audio": "require"}


def test_acav100m_clips_are_asked_the_questions_that_one_brings(tmp_path):
    listed = (
        'shard-000000,NgI3xyMX1Ss_069.mp4,NgI3xyMX1Ss,"[69, 79]"\r\n'
        'shard-000009,qpxektwhzra_292.mp4,qpxektwhzra,"[292.25, 302.25]"\r\n'
        'shard-000009,unknown_001.mp4,-1,"[-1.0, -1.0]"\r\n'
        "shard-000009,short\r\n"
    )
    asked = [
        {"id": "qpxektwhzra_292", "question": "What rings?", "answer": "A bell."},
        {"id": "qpxektwhzra_292", "question": "Who runs?", "answer": "A boy."},
        {"id": "elsewhere_001", "question": "What?", "answer": "No."},
    ]
    root = write(tmp_path, {"output.csv": listed, "asked.json": json.dumps(asked)})
    found, told = imported(acav100m, root, "train", questions=root / "asked.json")
    clip = film("videos/qpxektwhzra_292.mp4")
    assert found == [
        record("acav100m/qpxektwhzra_292/q1", "av_qa", clip, "A bell.", "MIT", question="What rings?"),
        record("acav100m/qpxektwhzra_292/q2", "av_qa", clip, "A boy.", "MIT", question="Who runs?"),
    ]
    short = "output.csv:4 expected shard, file.mp4, YouTube id and segment: 'shard-000009,short'"
    assert told == [short]
    options = {"questions": root / "asked.json", "videos": "videos/{youtube_id}.mp4", "whole": True}
    found, told = imported(acav100m, root, "train", **options)
    assert told == ["output.csv:3 begin and end are no stretch of time: -1 to -1", short]
    assert found[0].messages[0]["content"][0] == film("videos/qpxektwhzra.mp4", start=292.25, end=302.25)
    with pytest.raises(EarsightError, match="questions are not published; give questions=FILE"):
        imported(acav100m, root, "train")


def test_vggsound_labels_the_clips_of_the_split(tmp_path):
    listed = (
        "---g-f_I2yQ,1,people marching,test\n"
        "--0PQM4-hqg,30,waterfall burbling,train\n"
        "--1,thirty,waterfall burbling,train\n"
        '--5OkAjCI7g,40,"bird chirping, tweeting",train\n'
    )
    root = write(tmp_path, {"vggsound.csv": listed})
    found, told = imported(vggsound, root, "train")
    first, second = film("videos/--0PQM4-hqg_000030.mp4"), film("videos/--5OkAjCI7g_000040.mp4")
    assert found == [
        record("vggsound/--0PQM4-hqg_000030", "av_source", first, "waterfall burbling", "CC-BY-4.0"),
        record("vggsound/--5OkAjCI7g_000040", "av_source", second, "bird chirping, tweeting", "CC-BY-4.0"),
    ]
    assert told == [
        "vggsound.csv:3 expected YouTube id, seconds, label, train or test: '--1,thirty,waterfall burbling,train'"
    ]
    found, _ = imported(vggsound, root, "test", videos="whole/{youtube_id}.mkv", whole=True)
    marching = film("whole/---g-f_I2yQ.mkv", start=1.0, end=11.0)
    assert found == [record("vggsound/---g-f_I2yQ_000001", "av_source", marching, "people marching", "CC-BY-4.0")]


def test_vggsound_clips_are_asked_the_questions_that_one_brings(tmp_path):
    asked = [{"id": "--0PQM4-hqg_000030", "question": "What falls?", "answer": "Water."}]
    root = write(
        tmp_path, {"vggsound.csv": "--0PQM4-hqg,30,waterfall burbling,train\n", "asked.json": json.dumps(asked)}
    )
    found, told = imported(vggsound, root, "train", task="av_qa", questions=root / "asked.json")
    clip = film("videos/--0PQM4-hqg_000030.mp4")
    assert found == [
        record("vggsound/--0PQM4-hqg_000030/q1", "av_qa", clip, "Water.", "CC-BY-4.0", question="What falls?")
    ]
    assert told == []


SEGMENTS = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n"
    "# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
    '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00003"\n'
    '--aaaaaaaaa, 30.000, 40.000, "/m/none"\n'
    '--bbbbbbbbb, 40.000, 30.000, "/m/09x0r"\n'
    '-0RWZT-miFs, 420.000, 430.000, "/m/09x0r"\n'
)


def test_audioset_classes_are_named_by_either_published_list(tmp_path):
    names = 'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/t/dd00003,"Male speech, man speaking"\n'
    files = {"balanced_train_segments.csv": SEGMENTS, "class_labels_indices.csv": names}
    found, told = imported(audioset, write(tmp_path / "one", files), "balanced_train")
    folder = "data/balanced_train_segments/video"
    first, second = f"{folder}/--PJHxphWEs_30000_40000.mp4", f"{folder}/-0RWZT-miFs_420000_430000.mp4"
    assert found == [
        record(
            "audioset/--PJHxphWEs_30000",
            "sound_events",
            film(first),
            "Speech; Male speech, man speaking",
            "CC-BY-4.0",
        ),
        record("audioset/-0RWZT-miFs_420000", "sound_events", film(second), "Speech", "CC-BY-4.0"),
    ]
    assert told == [
        "balanced_train_segments.csv:5 no name of class: /m/none",
        "balanced_train_segments.csv:6 begin and end are no stretch of time: 40 to 30",
    ]
    ontology = [{"id": "/m/09x0r", "name": "Speech"}, {"id": "/t/dd00003", "name": "Male speech, man speaking"}]
    files = {"balanced_train_segments.csv": SEGMENTS, "ontology.json": json.dumps(ontology)}
    again, _ = imported(audioset, write(tmp_path / "two", files), "balanced_train")
    assert again == found


def test_music_names_the_instruments_of_solos_and_duets(tmp_path):
    duets = {"version": 1.0, "videos": {"acoustic_guitar violin": ["8DHG_hVSw1o", None], "xylophone flute": ["Xb"]}}
    found, told = imported(music, write(tmp_path, {"MUSIC_duet_videos.json": json.dumps(duets)}), "duet")
    first, second = film("videos/acoustic_guitar violin/8DHG_hVSw1o.mp4"), film("videos/xylophone flute/Xb.mp4")
    assert found == [
        record("music/duet/8DHG_hVSw1o", "instruments", first, "acoustic guitar and violin"),
        record("music/duet/Xb", "instruments", second, "xylophone and flute"),
    ]
    assert told == ["MUSIC_duet_videos.json:acoustic_guitar violin[1] not a YouTube id: None"]


def test_music_avqa_fills_its_questions_marks(tmp_path):
    entries = [
        question(50, "Where is the <FL> sounding instrument?", '["first"]', "left"),
        question(51, "Is the <Object> louder than the <Object>?", '["cello", "flute"]', "yes"),
        question(52, "Is the <Object> louder than the <Object>?", '["cello"]', "yes"),
        question(53, "How many?", "[]", "two") | {"question_deleted": 1},
        question(54, "How many?", "[", "two"),
    ]
    found, told = imported(music_avqa, write(tmp_path, {"json/avqa-train.json": json.dumps(entries)}), "train")
    extra = {"type": ["Audio-Visual", "Temporal"]}
    clip = film("video/00000272.mp4")
    first, second = "Where is the first sounding instrument?", "Is the cello louder than the flute?"
    assert found == [
        record("music_avqa/50", "av_qa", clip, "left", "MIT", question=first, extra=extra),
        record("music_avqa/51", "av_qa", clip, "yes", "MIT", question=second, extra=extra),
    ]
    place = "json/avqa-train.json:1"
    assert told == [
        f"{place} values do not fill the question: '[\"cello\"]', 'Is the <Object> louder than the <Object>?'",
        f"{place} values do not fill the question: '[', 'How many?'",
    ]


def boxes(*corners):
    marks = []
    for number, box in enumerate(corners):
        sides = "".join(
            f"<{side}>{at}</{side}>" for side, at in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        marks.append(f"<object><bbox><name>{number}</name>{sides}</bbox></object>")
    return f"<annotation>{''.join(marks)}</annotation>"


def test_flickr_soundnet_takes_the_place_that_two_people_agree_on(tmp_path):
    agreed = boxes((0, 0, 128, 128), (64, 64, 192, 256), (64, 64, 120, 112))
    root = write(
        tmp_path,
        {
            "Annotations/10000130166.xml": agreed,
            "Annotations/10007936344.xml": agreed,
            "Annotations/2.xml": boxes((0, 0, 10, 10), (20, 20, 30, 30)),
            "Annotations/3.xml": "<annotation><object>",
            "Annotations/4.xml": agreed,
            "Data/10000130166/10000130166.wav": b"",
            "Data/10007936344/sound.wav": b"",
            "Data/2/2.wav": b"",
            "flickr_test.csv": "10000130166,202\r\n",
        },
    )
    found, told = imported(flickr_soundnet, root, "test")
    test = picture("Data/10000130166/10000130166.jpg", "Data/10000130166/10000130166.wav")
    place = "[0.250, 0.250, 0.500, 0.500]"
    assert found == [record("flickr_soundnet/10000130166", "av_localisation", test, place, "research only")]
    assert told == []
    found, told = imported(flickr_soundnet, root, "train")
    train = picture("Data/10007936344/sound.jpg", "Data/10007936344/sound.wav")
    assert found == [record("flickr_soundnet/10007936344", "av_localisation", train, place, "research only")]
    assert told[0] == "Annotations/2.xml no place that two people marked"
    assert told[1].startswith("Annotations/3.xml no boxes can be read from it: ")
    assert told[-1] == "Annotations/4.xml no sound of it in Data"


def test_vgg_soundsource_boxes_become_shares_and_those_that_are_none_are_told(tmp_path):
    broken = [0.384375, 0.859375, 0.696875, -2.8823037615171176e16]
    entries = [
        {"file": "zpWuikVorYg_000032", "class": "elk bugling", "bbox": [[0.403125, 0.253125, 0.6, 0.75]]},
        {"file": "Db6Hjt0x28k_000056", "class": "dog barking", "bbox": [broken, [0, 0.5, 0.25, 1]]},
        {"file": "iUtE4nRvBsM_000040", "class": "coughing", "bbox": [[0, 0.5, 0.25, 1], [0.5, 0.0, 1, 0.25]]},
        {"file": "UyCw7pCgYg8_000055", "class": "cat purring", "bbox": [[0.1, 0.2, 0.1, 0.2]]},
    ]
    root = write(tmp_path, {"vggss.json": json.dumps(entries)})
    found, told = imported(vgg_soundsource, root, "test")
    first = picture("frames/zpWuikVorYg_000032.jpg", "audio/zpWuikVorYg_000032.wav")
    second = picture("frames/iUtE4nRvBsM_000040.jpg", "audio/iUtE4nRvBsM_000040.wav")
    task, box = "av_localisation", "[0.403, 0.253, 0.600, 0.750]"
    two = "[0.000, 0.500, 0.250, 1.000], [0.500, 0.000, 1.000, 0.250]"
    assert found == [
        record("vgg_soundsource/zpWuikVorYg_000032", task, first, box, "Apache-2.0"),
        record("vgg_soundsource/iUtE4nRvBsM_000040", task, second, two, "Apache-2.0"),
    ]
    assert told == [
        "vggss.json:1 boxes that are none: 1 of 2, Db6Hjt0x28k_000056",
        "vggss.json:1 boxes that are none: 1 of 1, UyCw7pCgYg8_000055",
    ]
    found, told = imported(vgg_soundsource, root, "test", task="av_source")
    assert found[0] == record("vgg_soundsource/zpWuikVorYg_000032", "av_source", first, "elk bugling", "Apache-2.0")
    assert (len(found), told) == (4, [])


def test_ave_events_have_their_seconds(tmp_path):
    rows = "Church bell&MH3m4AwEcRY&good&6&8\nChurch bell&VWi2ENBuTbw&good&0&0\nBark&MH3m4AwEcRY&good&0\n"
    more = "Male speech, man speaking&MH3m4AwEcRY&good&0&10\n"
    header = "Category&VideoID&Quality&StartTime&EndTime\n"
    root = write(tmp_path, {"trainSet.txt": rows + more, "Annotations.txt": header + more})
    found, told = imported(ave, root, "train")
    clip, extra = film("AVE/MH3m4AwEcRY.mp4"), {"quality": "good"}
    bell, speech = "Church bell, from 6 to 8 seconds.", "Male speech, man speaking, from 0 to 10 seconds."
    assert found == [
        record("ave/MH3m4AwEcRY/0", "av_event", clip, bell, extra=extra),
        record("ave/MH3m4AwEcRY/1", "av_event", clip, speech, extra=extra),
    ]
    assert told == [
        "trainSet.txt:2 begin and end are no stretch of time: 0 to 0",
        "trainSet.txt:3 expected 5 columns with something in each: 'Bark&MH3m4AwEcRY&good&0'",
    ]
    found, told = imported(ave, root, "all")
    assert (found, told) == ([record("ave/MH3m4AwEcRY/0", "av_event", clip, speech, extra=extra)], [])


def test_avs_names_what_sounds_and_keeps_its_masks(tmp_path):
    listed = (
        "name,start,category,split\n--0RAX5ej9s_1,1,playing_violin,test\nab_5,5,dog_barking,train\nac_5,5,,train\n"
        "ad_5,5,dog_barking,dev\n"
    )
    root = write(tmp_path, {"Single-source/s4_meta_data.csv": listed})
    found, told = imported(avs, root, "train")
    below = "Single-source/s4_data"
    clip = film(f"{below}/raw_videos/train/dog_barking/ab_5.mp4")
    masks = {"masks": [f"{below}/gt_masks/train/dog_barking/ab_5/ab_5_1.png"]}
    assert found == [record("avs/ab_5", "av_source", clip, "dog barking", "Apache-2.0", extra=masks)]
    assert told == [
        "Single-source/s4_meta_data.csv:4 nothing in column category",
        "Single-source/s4_meta_data.csv:5 none of train, val, test: 'dev'",
    ]
    found, _ = imported(avs, root, "test")
    assert [name[-5:] for name in found[0].extra["masks"]] == ["1.png", "2.png", "3.png", "4.png", "5.png"]


LLP = {
    "AVVP_train.csv": "filename\tevent_labels\nBjCEufrlXm4_20_30\tSpeech,Dog\nshort_20_30\tDog\n"
    "AP0061o0Nvk_101.8_111.8\tFrying_(food)\n",
    "AVVP_test_pd.csv": "filename\tevent_labels\nKSRjje7GH44_60_70\tBlender,Speech\nHK1i4YyF5WU_30_40\tMotorcycle\n"
    "6YwGatj9_2M_320_330\tDog\naYwGatj9_2M_0_10\tDog\n",
    "AVVP_eval_audio.csv": "filename\tonset\toffset\tevent_labels\nKSRjje7GH44_60_70\t8\t10\tBlender\n"
    "KSRjje7GH44_60_70\t0\t8\tSpeech\nHK1i4YyF5WU_30_40\t9\t9\tSpeech\n",
    "AVVP_eval_visual.csv": "filename\tonset\toffset\tevent_labels\nKSRjje7GH44_60_70\t0\t10\tBlender\n"
    "HK1i4YyF5WU_30_40\t0\t10\tMotorcycle\n6YwGatj9_2M_320_330\t1\t2\tDog\n",
}


def test_llp_events_are_labels_in_training(tmp_path):
    root = write(tmp_path, LLP)
    found, told = imported(llp, root, "train")
    first, second = film("LLP_dataset/video/BjCEufrlXm4.mp4"), film("LLP_dataset/video/AP0061o0Nvk.mp4")
    assert found == [
        record("llp/BjCEufrlXm4_20_30", "av_events", first, "Speech, Dog"),
        record("llp/AP0061o0Nvk_101.8_111.8", "av_events", second, "Frying (food)"),
    ]
    assert told == ["AVVP_train.csv:3 not YouTube id, begin and end: 'short_20_30'"]
    with pytest.raises(EarsightError, match="train has no times"):
        imported(llp, root, "train", task="av_parsing")


def test_llp_events_have_times_by_sense_in_evaluation(tmp_path):
    found, told = imported(llp, write(tmp_path, LLP), "test", task="av_parsing")
    first, second = film("LLP_dataset/video/KSRjje7GH44.mp4"), film("LLP_dataset/video/6YwGatj9_2M.mp4")
    both = "Heard: Blender, 8 to 10 s; Speech, 0 to 8 s. Seen: Blender, 0 to 10 s."
    assert found == [
        record("llp/KSRjje7GH44_60_70", "av_parsing", first, both),
        record("llp/6YwGatj9_2M_320_330", "av_parsing", second, "Heard: nothing. Seen: Dog, 1 to 2 s."),
    ]
    assert told == [
        "AVVP_eval_audio.csv:4 begin and end are no stretch of time: 9 to 9",
        "AVVP_test_pd.csv:5 in neither evaluation file: aYwGatj9_2M_0_10",
    ]


def test_tasks_that_leave_the_question_out_have_prompts(tmp_path):
    unasked = ["image_caption", "text_caption", "video_caption", "av_source", "av_localisation", "av_event"]
    assert [lacking(task) for task in [*unasked, "av_events", "av_parsing", "sound_events", "instruments"]] == [""] * 10
    found, _ = imported(llp, write(tmp_path, LLP), "train")
    assert [Record.of(one.to_json()) for one in found] == found


def test_every_importer_reads_and_says_what_it_reads():
    for name in importers.names():
        module = importlib.import_module(f"{importers.__name__}.{name}")
        assert callable(importers.get(name)) and "ROOT/" in module.__doc__, name


def question(number, content, values, answer):
    return {
        "video_id": "00000272",
        "question_id": number,
        "type": '["Audio-Visual", "Temporal"]',
        "question_content": content,
        "templ_values": values,
        "question_deleted": 0,
        "anser": answer,
    }
