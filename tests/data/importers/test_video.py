"""Films: a few lines in each published layout become exactly these records; a damaged entry is told and left out."""

import json

import pytest
from published_layouts import imported, record, write

from earsight.data.importers import avsd, ego4d, msvd_qa, nextqa, valley, video_chatgpt, videochat
from earsight.data.records import Record
from earsight.errors import EarsightError

OPEN = (
    "video,frame_count,width,height,question,answer,qid,type\n"
    "3606518674,2622,640,480,is the man proficient in playing it,yes,1,DB\n"
    "2414793083,2584,640,480,what did the baby do,,1,TC\n"
    '6083954222,2642,640,1138,"where, if at all, is the ball",in the net,13,TC\n'
    "9999999999,2642,640,1138,who is it,a dog,2,DO\n"
    "3606518674,2622,640,480,is he proficient,no,1,DB\n"
)
CHOICE = (
    "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
    "3606518674,369,640,480,how do the men play,3,6,CH,roll the handle,tap their feet,strum,hit with sticks,pat\n"
    "3606518674,369,640,480,why do the men play,5,7,CW,a,b,c,d,e\n"
)
PATHS = '{"3606518674": "1001/3606518674", "2414793083": "1001/2414793083", "6083954222": "0028/6083954222"}'


def video(path, **more):
    return {"type": "video", "path": path, **more}


def test_nextqa_open_questions_are_words_about_a_silent_film(tmp_path):
    root = write(tmp_path, {"train.csv": OPEN, "map_vid_vidorID.json": PATHS})
    found, told = imported(nextqa, root, "train")
    first = video("NExTVideo/1001/3606518674.mp4", audio="ignore")
    second = video("NExTVideo/0028/6083954222.mp4", audio="ignore")
    question, other = "is the man proficient in playing it", "where, if at all, is the ball"
    again = "is he proficient"
    assert found == [
        record("nextqa/3606518674/1", "video_qa", first, "yes", "MIT", question=question, extra={"type": "DB"}),
        record("nextqa/6083954222/13", "video_qa", second, "in the net", "MIT", question=other, extra={"type": "TC"}),
        record("nextqa/3606518674/1/2", "video_qa", first, "no", "MIT", question=again, extra={"type": "DB"}),
    ]
    assert told == [
        "train.csv:3 nothing in column answer",
        "train.csv:5 video 9999999999 is not in map_vid_vidorID.json",
    ]
    with pytest.raises(EarsightError, match="no column a0"):
        imported(nextqa, root, "train", form="choice")


def test_nextqa_choices_are_lettered_and_the_answer_is_one_of_them(tmp_path):
    root = write(tmp_path, {"val.csv": CHOICE, "map_vid_vidorID.json": PATHS})
    found, told = imported(nextqa, root, "val", form="choice", audio="auto")
    question = (
        "how do the men play? Choose one from: "
        "A. roll the handle, B. tap their feet, C. strum, D. hit with sticks, E. pat"
    )
    film = video("NExTVideo/1001/3606518674.mp4", audio="auto")
    assert found == [
        record(
            "nextqa/3606518674/6",
            "video_choice",
            film,
            "D. hit with sticks",
            "MIT",
            question=question,
            extra={"type": "CH"},
        )
    ]
    assert told == ["val.csv:3 the answer is not the number of a choice: '5'"]


def test_msvd_qa_finds_clips_by_the_mapping(tmp_path):
    entries = [
        {"question": "what is a man doing?", "answer": "walk", "id": 0, "video_id": 1},
        {"question": "who cooks?", "answer": "woman", "id": 1, "video_id": 7},
        {"question": "who cooks?", "answer": "", "id": 2, "video_id": 1},
    ]
    files = {"train_qa.json": json.dumps(entries, indent=0), "youtube_mapping.txt": "-4wsuPCjDBc_5_15 vid1\nvid2\n"}
    found, told = imported(msvd_qa, write(tmp_path, files), "train")
    film = video("YouTubeClips/-4wsuPCjDBc_5_15.avi", audio="ignore")
    assert found == [record("msvd_qa/0", "video_qa", film, "walk", question="what is a man doing?")]
    assert told == [
        "youtube_mapping.txt:2 expected 2 columns with something in each: 'vid2'",
        "train_qa.json:8 vid7 is not in youtube_mapping.txt",
        "train_qa.json:14 no usable 'answer': ''",
    ]
    renamed, _ = imported(msvd_qa, tmp_path, "train", videos="video/{number}.avi")
    assert renamed[0].messages[0]["content"][0]["path"] == "video/vid1.avi"


def test_videochat_keeps_the_turns_of_a_conversation(tmp_path):
    entries = [
        {"video": "000001_000050/1066682446.mp4", "QA": [{"q": "Who?", "a": "A man."}, {"q": "Where?", "a": "Here."}]},
        {"video": "000001_000050/1066682447.mp4", "QA": []},
        {"video": "000001_000050/1066682448.mp4", "QA": [{"q": "Who?"}]},
    ]
    found, told = imported(videochat, write(tmp_path, {"videochat_instruct_11k.json": json.dumps(entries)}), "train")
    film = video("WebVid10M/000001_000050/1066682446.mp4", audio="ignore")
    messages = turns(film, ("Who?", "A man."), ("Where?", "Here."))
    assert found == [Record("videochat/00000", "videochat", "video_conversation", messages)]
    assert told == [
        "videochat_instruct_11k.json:1 'QA' is empty",
        "videochat_instruct_11k.json:1 no usable 'a': None",
    ]


def test_valley_instructions_take_their_stretch_of_vatex_from_its_name(tmp_path):
    entries = [
        instruction("VATEX", "Ptf_2VRj-V0.mp4", "Ptf_2VRj-V0_000122_000132"),
        instruction("jukinmedia", "1113.mp4", "1113"),
        instruction("VATEX", "Ptf_2VRj-V0.mp4", "Ptf_2VRj-V0"),
        instruction("jukinmedia", "1114.mp4", "1114") | {"conversations": [{"from": "gpt", "value": "Hm."}]},
    ]
    root = write(tmp_path, {"valley_instruct_65k.json": json.dumps(entries, indent=0)})
    found, told = imported(valley, root, "65k")
    task, licence, question = "video_conversation", "CC-BY-NC-4.0", "What is it?"
    cut = video("videos/VATEX/Ptf_2VRj-V0.mp4", start=122.0, end=132.0)
    assert found == [
        record("valley65k/000000", task, cut, "A dog.", licence, question=question),
        record("valley65k/000001", task, video("videos/jukinmedia/1113.mp4"), "A dog.", licence, question=question),
    ]
    assert [line.split(" ", 1)[1] for line in told] == [
        "begin and end are not two numbers: []",
        "'conversations' is not human, gpt, human, gpt ... with a text each",
    ]
    found, _ = imported(valley, root, "65k", whole=False)
    assert found[0].messages[0]["content"][0] == video("videos/VATEX/Ptf_2VRj-V0.mp4")


def test_valley_pretraining_lies_in_webvid(tmp_path):
    conversation = [{"from": "human", "value": "Describe it.\n<video>"}, {"from": "gpt", "value": "Rain on a lake."}]
    entries = [{"id": "1", "video": "1066682446", "conversations": conversation}, {"id": "2"}]
    found, told = imported(valley, write(tmp_path, {"chat.json": json.dumps(entries)}), "703k")
    film = video("videos/webvid/1066682446.mp4")
    assert found == [
        record("valley703k/000000", "video_caption", film, "Rain on a lake.", "CC-BY-NC-4.0", question="Describe it.")
    ]
    assert told == ["chat.json:1 no usable 'video': None"]


def test_video_chatgpt_asks_about_activitynet(tmp_path):
    entries = [{"q": "What happens?", "a": "She skis.", "video_id": "v_k_ZXmr8pmrs"}, {"q": "What?", "a": "She"}]
    found, told = imported(video_chatgpt, write(tmp_path, {"VideoInstruct100K.json": json.dumps(entries)}), "train")
    film = video("videos/v_k_ZXmr8pmrs.mp4")
    assert found == [
        record("video_chatgpt/000000", "video_qa", film, "She skis.", "CC-BY-NC-SA-4.0", question="What happens?")
    ]
    assert told == ["VideoInstruct100K.json:1 no usable 'video_id': None"]


def test_ego4d_joins_the_narrations_of_a_clip(tmp_path):
    listed = [
        {"video_uid": "aa", "duration_sec": 41.5, "split_em": None, "split_av": None, "split_fho": "train"},
        {"video_uid": "bb", "duration_sec": 20, "split_em": "val", "split_av": "train", "split_fho": None},
        {"video_uid": "cc"},
    ]
    passes = {
        "narration_pass_1": {"narrations": [narration(1, "#C C never read")], "summaries": []},
        "narration_pass_2": {
            "narrations": [
                narration(31.0, "#O A man X walks #unsure away."),
                narration(3.3, "#C C picks a bag"),
                narration(9, "#c c opens the bag "),
                narration(60, "#C C is gone"),
                {"timestamp_sec": 5},
            ],
            "summaries": [{"start_sec": 0, "end_sec": 41, "summary_text": "#Summary C shopped"}],
        },
    }
    other = {"narration_pass_1": {"narrations": [narration(2, "#C C reads")]}}
    files = {
        "ego4d.json": json.dumps({"date": "2021", "videos": listed, "clips": []}),
        "v1/annotations/narration.json": json.dumps({"aa": passes, "bb": other, "dd": {"status": "redacted"}}),
    }
    found, told = imported(ego4d, write(tmp_path, files), "train")
    path, licence = "v1/full_scale/aa.mp4", "Ego4D licence agreement"
    sentences = "The camera wearer picks a bag. The camera wearer opens the bag."
    assert found == [
        record("ego4d/aa/0", "video_caption", video(path, start=0.0, end=30.0), sentences, licence),
        record(
            "ego4d/aa/1",
            "video_caption",
            video(path, start=30.0, end=41.5),
            "A man X walks something away.",
            licence,
        ),
    ]
    place = "v1/annotations/narration.json:aa:narration_pass_2"
    assert told == [
        "ego4d.json:1 no usable 'duration_sec': None",
        f"{place}[3] empty or outside the video: '#C C is gone' at 60 s of 41.5 s",
        f"{place}[4] no usable 'narration_text': None",
    ]
    found, _ = imported(ego4d, tmp_path, "val", clip_seconds=10)
    short = video("v1/full_scale/bb.mp4", start=0, end=10)
    assert found == [record("ego4d/bb/0", "video_caption", short, "The camera wearer reads.", licence)]


def test_avsd_dialogues_keep_caption_and_summary_apart(tmp_path):
    whole = [{"question": "is there one person ?", "answer": "yes"}, {"question": "any sound ?", "answer": "a dog"}]
    dialogs = [
        {"image_id": "YSE1G", "caption": "a person walked", "summary": "the girl walks", "dialog": whole},
        {"image_id": "YSE1H", "dialog": [whole[0], {"question": "who ?", "answer": "__UNDISCLOSED__"}]},
        {"image_id": "YSE1I", "dialog": [{"question": "who ?"}]},
    ]
    book = json.dumps({"type": "train", "dialogs": dialogs})
    found, told = imported(avsd, write(tmp_path, {"train_set4DSTC7-AVSD.json": book}), "train")
    film = video("Charades_v1_480/YSE1G.mp4")
    messages = turns(film, ("is there one person ?", "yes"), ("any sound ?", "a dog"))
    extra = {"caption": "a person walked", "summary": "the girl walks"}
    assert found == [Record("avsd/train/00000", "avsd", "av_dialogue", messages, "MIT", extra)]
    assert told == [
        "train_set4DSTC7-AVSD.json:1 an answer is not disclosed: YSE1H",
        "train_set4DSTC7-AVSD.json:1 no usable 'answer': None",
    ]


def turns(part, *pairs):
    messages = []
    for question, answer in pairs:
        messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    messages[0]["content"].insert(0, part)
    return messages


def instruction(source, name, long_name):
    conversation = [{"from": "human", "value": "<video>\nWhat is it?"}, {"from": "gpt", "value": "A dog."}]
    return {"id": name, "v_id": long_name, "video": name, "source": source, "conversations": conversation}


def narration(seconds, words):
    frame = round(30 * seconds)
    return {"timestamp_sec": seconds, "timestamp_frame": frame, "narration_text": words, "annotation_uid": "u"}
