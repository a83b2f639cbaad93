"""Music: a few lines in each published layout become exactly these records; a damaged line is told of and left out."""

import json

import pytest
from published_layouts import audio, imported, record, write

from earsight.data.importers import millionsong, musiccaps, musicnet
from earsight.errors import EarsightError

MUSICCAPS = {
    "musiccaps-public.csv": "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,"
    "is_balanced_subset,is_audioset_eval\n"
    '-0Gj8-vB1q4,30,40,"/m/0140xf,/m/02cjck","[\'low quality\', \'ballad\']","A slow ballad,\n'
    'sung by a woman.",4,False,True\n'
    "-0SdAVK79lg,30,40,/m/0155w,['guitar song'],A guitar plays.,0,False,False\n"
    "-0vPFx-wRRI,30,20,/m/025_jnm,['male'],A man sings.,6,False,False\n"
}


def test_musiccaps_train_is_what_audioset_does_not_evaluate_on(tmp_path):
    root = write(tmp_path, MUSICCAPS)
    found, told = imported(musiccaps, root, "train")
    extra, heard = {"aspects": "['guitar song']"}, audio("audios/-0SdAVK79lg.wav")
    name = "musiccaps/-0SdAVK79lg"
    assert found == [record(name, "music_caption", heard, "A guitar plays.", "CC-BY-SA-4.0", extra=extra)]
    assert told == ["musiccaps-public.csv:5 begin and end are no stretch of time: 30 to 20"]
    evaluated, _ = imported(musiccaps, root, "test", whole=True, audio="youtube/{ytid}.m4a")
    assert evaluated == [
        record(
            "musiccaps/-0Gj8-vB1q4",
            "music_caption",
            audio("youtube/-0Gj8-vB1q4.m4a", 30.0, 40.0),
            "A slow ballad,\nsung by a woman.",
            "CC-BY-SA-4.0",
            extra={"aspects": "['low quality', 'ballad']"},
        )
    ]


def questions(*rows):
    return {"questions.json": json.dumps([dict(zip(("id", "question", "answer"), row, strict=False)) for row in rows])}


def test_millionsong_questions_are_asked_of_the_kept_track_or_its_preview(tmp_path):
    blues, rock, broken = "TRACOHF128F1498509", "TRIOREW128F424EAF0", "TRRIVDJ128F429B0E8"
    table = (
        "track_id,name,artist,spotify_preview_url,spotify_id,tags,genre,year,duration_ms\n"
        f'{blues},Blue,Ann,https://p.scdn.co/mp3-preview/1,0a,"blues, slow",Blues,2001,1000\n'
        f"{rock},Loud,Bob,https://p.scdn.co/mp3-preview/2,0b,rock,,2004,222200\n"
        f"{broken},Mute,Cem\n"
    )
    asked = questions((rock, "Which genre?", "Rock."), (blues, "How fast?", "Slow."), (broken, "Who?", "Cem."), (rock,))
    files = {"Music Info.csv": table, f"MP3-Example/Blues/Blues-{blues}.mp3": b""} | asked
    root = write(tmp_path, files)
    found, told = imported(millionsong, root, "all", questions=root / "questions.json")
    preview, kept = audio("https://p.scdn.co/mp3-preview/2"), audio(f"MP3-Example/Blues/Blues-{blues}.mp3")
    assert found == [
        record(f"millionsong/{rock}/q1", "music_qa", preview, "Rock.", question="Which genre?"),
        record(f"millionsong/{blues}/q1", "music_qa", kept, "Slow.", question="How fast?"),
    ]
    assert told == ["Music Info.csv:4 3 columns where the header has 9", "questions.json:1 no usable 'question': None"]


def test_millionsong_captions_come_from_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {
            "track_id": "TRIHXPZ128F1466744",
            "tag": ["hip hop", "calm"],
            "caption_writing": "A calm tune.",
            "caption_summary": "Calm.",
            "path": "3/6/36122424.clip.mp3",
        },
        {"track_id": "TRXXXXX000000000000", "tag": [], "caption_writing": None, "caption_summary": "", "path": "x"},
    ]
    (tmp_path / "data").mkdir()
    name = "data/train-00000-of-00002-557f11f5f8c72ffa.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / name)
    found, told = imported(millionsong, tmp_path, "train", caption="summary")
    heard, extra = audio("audio/3/6/36122424.clip.mp3"), {"tags": ["hip hop", "calm"]}
    assert found == [record("millionsong/TRIHXPZ128F1466744", "music_caption", heard, "Calm.", extra=extra)]
    assert told == [f"{name}:2 no usable 'caption_summary': ''"]


def test_millionsong_captions_say_what_layout_they_need(tmp_path):
    with pytest.raises(EarsightError, match="expected LP-MusicCaps-MSD's layout"):
        imported(millionsong, tmp_path, "train")


def test_musicnet_questions_belong_to_the_folder_of_their_recording(tmp_path):
    table = (
        "id,composer,composition,movement,ensemble,source,transcriber,catalog_name,seconds\n"
        "1727,Schubert,Piano Quintet in A major,2. Andante,Piano Quintet,European Archive,segundo,OP114,447\n"
        "1759,Schubert,Piano Sonata,1. Allegro,Solo Piano,Museopen,Segundo,D958,600\n"
        "1728,Schubert\n"
    )
    row = {"id": "1727", "question": "How many play?", "answer": "Five.", "start": 10, "end": 40}
    asked = json.dumps(row) + "\n" + json.dumps(row | {"end": 5}) + "\n" + json.dumps(row | {"id": "1759"})
    files = {
        "musicnet_metadata.csv": table,
        "musicnet/train_data/1727.wav": b"",
        "musicnet/test_data/1759.wav": b"",
        "questions.jsonl": asked,
    }
    root = write(tmp_path, files)
    found, told = imported(musicnet, root, "train", questions=root / "questions.jsonl")
    extra = {"composer": "Schubert", "composition": "Piano Quintet in A major", "ensemble": "Piano Quintet"}
    assert found == [
        record(
            "musicnet/1727/q1",
            "music_qa",
            audio("musicnet/train_data/1727.wav", 10.0, 40.0),
            "Five.",
            "CC-BY-4.0",
            question="How many play?",
            extra=extra,
        )
    ]
    assert told == [
        "musicnet_metadata.csv:4 2 columns where the header has 9",
        "questions.jsonl:2 begin and end are no stretch of time: 10 to 5",
    ]
    with pytest.raises(EarsightError, match="not published; give questions=FILE"):
        imported(musicnet, root, "train")
