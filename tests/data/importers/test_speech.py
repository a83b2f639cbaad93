"""Speech: a few lines in each published layout become exactly these records; a damaged line is told of and left out."""

import json
from pathlib import Path

import pytest
from published_layouts import audio, imported, record, write

from earsight.data.importers import covost2, gigaspeech, how2, iemocap, librimix, librispeech, spokencoco, voxceleb1
from earsight.errors import EarsightError

CHAPTER = "LibriSpeech/train-clean-100/103/1240/103-1240"
OTHER = "LibriSpeech/train-clean-100/26/495/26-495"
LIBRISPEECH = {
    "LibriSpeech/SPEAKERS.TXT": "; Some pipe(|) separated metadata about all LibriVox readers\n"
    ";ID  |SEX| SUBSET           |MINUTES| NAME\n"
    "26   | M | train-clean-100  | 25.08 | Denny Sayers\n"
    "27   | X | train-clean-100  | 20.14 | Nobody\n"
    "103  | F | train-clean-100  | 25.05 | Karen Savage\n",
    f"{CHAPTER}.trans.txt": "103-1240-0000 CHAPTER ONE MISSUS RACHEL\n103-1240-0001\n"
    "103-1240-0002 THAT HAD ITS SOURCE\n",
    f"{OTHER}.trans.txt": "26-495-0000 HELLO\n",
}
LEXICON = {
    "librispeech-lexicon.txt": "CHAPTER\tCH AE1 P T ER0\nHAD  HH AE1 D\nHELLO\tHH AH0 L OW1\nHELLO\tHH EH0 L OW1\n"
    "ITS\tIH1 T S\nMISSUS\tM IH1 S IH0 Z\nONE\tW AH1 N\nBROKEN\nSOURCE\tS AO1 R S\nTHAT\tDH AE1 T\n"
}
SPOILT = f"{CHAPTER}.trans.txt:2 not a name of this chapter and its text: '103-1240-0001'"


def test_librispeech_is_transcribed_from_its_chapters(tmp_path):
    found, told = imported(librispeech, write(tmp_path, LIBRISPEECH), "train-clean-100")
    assert found == [
        record(
            "librispeech/103-1240-0000", "asr", audio(f"{CHAPTER}-0000.flac"), "CHAPTER ONE MISSUS RACHEL", "CC-BY-4.0"
        ),
        record("librispeech/103-1240-0002", "asr", audio(f"{CHAPTER}-0002.flac"), "THAT HAD ITS SOURCE", "CC-BY-4.0"),
        record("librispeech/26-495-0000", "asr", audio(f"{OTHER}-0000.flac"), "HELLO", "CC-BY-4.0"),
    ]
    assert told == [SPOILT]


def test_librispeech_phones_come_from_a_lexicon_and_an_unknown_word_is_told(tmp_path):
    root = write(tmp_path, LIBRISPEECH | LEXICON)
    found, told = imported(
        librispeech, root, "train-clean-100", task="phone_recognition", lexicon=root / "librispeech-lexicon.txt"
    )
    phones = "DH AE1 T HH AE1 D IH1 T S S AO1 R S"
    assert found == [
        record("librispeech/103-1240-0002", "phone_recognition", audio(f"{CHAPTER}-0002.flac"), phones, "CC-BY-4.0"),
        record(
            "librispeech/26-495-0000", "phone_recognition", audio(f"{OTHER}-0000.flac"), "HH AH0 L OW1", "CC-BY-4.0"
        ),
    ]
    assert told == [
        "librispeech-lexicon.txt:8 a word without phones: BROKEN",
        f"{CHAPTER}.trans.txt:1 a word is not in the lexicon: RACHEL",
        SPOILT,
    ]
    with pytest.raises(EarsightError, match="phones need lexicon=FILE"):
        imported(librispeech, root, "train-clean-100", task="phone_recognition")


def test_librispeech_genders_come_from_the_speakers_table(tmp_path):
    found, told = imported(librispeech, write(tmp_path, LIBRISPEECH), "train-clean-100", task="gender_recognition")
    assert [(one.id, one.messages[-1]["content"][0]["text"]) for one in found] == [
        ("librispeech/103-1240-0000", "Female"),
        ("librispeech/103-1240-0002", "Female"),
        ("librispeech/26-495-0000", "Male"),
    ]
    assert told[0].startswith("LibriSpeech/SPEAKERS.TXT:4 no F or M in the second column")


def test_librispeech_questions_are_read_and_never_made_up(tmp_path):
    asked = {"id": "26-495-0000", "question": "What is said?", "answer": "A greeting.", "start": 0.5, "end": 1}
    lines = [json.dumps(asked), "{", json.dumps({"id": "26-495-0000", "question": "Who?"})]
    root = write(tmp_path, LIBRISPEECH | {"questions.jsonl": "\n".join(lines)})
    found, told = imported(librispeech, root, "train-clean-100", task="speech_qa", questions=root / "questions.jsonl")
    heard = audio(f"{OTHER}-0000.flac", 0.5, 1.0)
    assert found == [
        record("librispeech/26-495-0000/q1", "speech_qa", heard, "A greeting.", "CC-BY-4.0", question="What is said?")
    ]
    assert [text.split(":")[1][:1] for text in told[1:]] == ["2", "3"] and told[0] == SPOILT
    with pytest.raises(EarsightError, match="not published; give questions=FILE"):
        imported(librispeech, root, "train-clean-100", task="speech_qa")


def segment(number, text, begin, end, *subsets):
    name = f"POD0000000001_S{number:07d}"
    return {"sid": name, "begin_time": begin, "end_time": end, "text_tn": text, "subsets": list(subsets)}


def gigaspeech_json():
    segments = [
        segment(8, "DOUGLAS MCGRAY <COMMA> OUR GUIDE <PERIOD>", 159.0, 167.52, "{XL}", "{M}"),
        segment(9, "<MUSIC>", 167.52, 170, "{XL}", "{M}"),
        segment(10, "ONLY IN THE LARGE ONE", 170, 171, "{XL}"),
        segment(11, "BACKWARDS", 175, 171, "{XL}", "{M}"),
        {"sid": "POD0000000001_S0000012"},
    ]
    recording = {"title": "Stores", "path": "audio/podcast/P0001/POD0000000001.opus", "aid": "POD0000000001"}
    return {"dataset": "GigaSpeech", "audios": [recording | {"segments": segments}, {"aid": "no path"}]}


def test_gigaspeech_gives_a_subsets_segments_as_stretches(tmp_path):
    root = write(tmp_path, {"GigaSpeech.json": json.dumps(gigaspeech_json(), indent=1)})
    found, told = imported(gigaspeech, root, "M")
    heard = audio("audio/podcast/P0001/POD0000000001.opus", 159.0, 167.52)
    name, terms = "gigaspeech/POD0000000001_S0000008", "GigaSpeech terms (non-commercial research)"
    assert found == [record(name, "asr", heard, "DOUGLAS MCGRAY OUR GUIDE", terms)]
    assert [text.partition(" ")[2] for text in told] == [
        "(POD0000000001_S0000011) begin and end are no stretch of time: 175 to 171",
        "no usable 'text_tn': None",
        "no usable 'path': None",
    ]
    with_marks, _ = imported(gigaspeech, root, "M", punctuation=True)
    assert with_marks == [record(name, "asr", heard, "DOUGLAS MCGRAY, OUR GUIDE.", terms)]


def test_long_json_is_read_in_pieces_with_true_line_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("earsight.data.importers._tables.CHUNK_CHARACTERS", 128)
    text = json.dumps(gigaspeech_json(), indent=1)
    cut = text[: text.index('"no path"')]  # the file ends in the middle of its second recording
    found, told = imported(gigaspeech, write(tmp_path, {"GigaSpeech.json": cut}), "M")
    assert len(found) == 1
    last = 1 + cut[: cut.rindex("{")].count("\n")
    assert told[-1].startswith(f"GigaSpeech.json:{last} not JSON from here on")


COVOST = "path\ttranslation\tsplit\n"


def test_covost2_gives_its_translations_by_language_and_split(tmp_path):
    lines = [
        'common_voice_en_1.mp3\t他说："不，“好”。\ttrain',
        "common_voice_en_2.mp3\t另一句。\ttrain_covost",
        "common_voice_en_3.mp3\tREMOVE\ttrain",
        "common_voice_en_4.mp3\t测试。\ttest",
        "common_voice_en_5.mp3\ttrain",
    ]
    tables = {
        "en/covost_v2.en_zh-CN.tsv": COVOST + "\n".join(lines) + "\n",
        "en/covost_v2.en_de.tsv": COVOST + "common_voice_en_1.mp3\tEr sagte „nein“.\tdev\n",
    }
    root = write(tmp_path, tables)
    found, told = imported(covost2, root, "train")
    first, second = audio("en/clips/common_voice_en_1.mp3"), audio("en/clips/common_voice_en_2.mp3")
    assert found == [
        record("covost2/en_zh/common_voice_en_1", "translation_en_zh", first, '他说："不，“好”。', "CC0-1.0"),
        record("covost2/en_zh/common_voice_en_2", "translation_en_zh", second, "另一句。", "CC0-1.0"),
    ]
    assert told == [
        "en/covost_v2.en_zh-CN.tsv:4 the translation is marked REMOVE",
        "en/covost_v2.en_zh-CN.tsv:6 2 columns where the header has 3",
    ]
    german, _ = imported(covost2, root, "dev", language="de")
    assert german == [
        record("covost2/en_de/common_voice_en_1", "translation_en_de", first, "Er sagte „nein“.", "CC0-1.0")
    ]
    with pytest.raises(EarsightError, match="covost_v2.en_ja.tsv: not there"):
        imported(covost2, root, "test", language="ja")


def turns(*rows: str) -> str:
    return "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n".join(
        f"{row}\nC-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n" for row in rows
    )


def test_iemocap_gives_four_emotions_of_the_sessions_asked_for(tmp_path):
    folder = "IEMOCAP_full_release/Session{0}/dialog/EmoEvaluation/{1}Ses0{0}F_impro01.txt"
    first = turns(
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]",
        "[10.0100 - 11.3925]\tSes01F_impro01_F001\texc\t[4.5000, 3.5000, 3.5000]",
        "[14.8872 - 18.0175]\tSes01F_impro01_M002\txxx\t[2.5000, 3.5000, 3.5000]",
        "[19.2900 - 20.7875]\tSes01F_impro01_M003",
    )
    files = {folder.format(1, ""): first, folder.format(1, "._"): b"\x00\x05\x16\x07 not text"}
    for session in (2, 3, 4, 5):
        one = f"[1.0000 - 2.0000]\tSes0{session}F_impro01_M000\tang\t[1.5000, 4.0000, 4.5000]"
        files[folder.format(session, "")] = turns(one)
    found, told = imported(iemocap, write(tmp_path, files), "train")

    def sound(session, turn):
        wave = "IEMOCAP_full_release/Session{0}/sentences/wav/Ses0{0}F_impro01/Ses0{0}F_impro01_{1}.wav"
        return audio(wave.format(session, turn))

    form = "IEMOCAP release form (research)"
    assert found == [
        record("iemocap/Ses01F_impro01_F000", "emotion_recognition", sound(1, "F000"), "Neutral", form),
        record("iemocap/Ses01F_impro01_F001", "emotion_recognition", sound(1, "F001"), "Happy", form),
        *(
            record(f"iemocap/Ses0{n}F_impro01_M000", "emotion_recognition", sound(n, "M000"), "Angry", form)
            for n in (2, 3, 4)
        ),
    ]
    assert len(told) == 1 and told[0].startswith(f"{folder.format(1, '')}:15 not a turn with its emotion")
    held_out, _ = imported(iemocap, tmp_path, "test")
    assert [one.id for one in held_out] == ["iemocap/Ses05F_impro01_M000"]


def test_librimix_gives_both_texts_of_a_mixture(tmp_path):
    metadata = "Libri2Mix/wav16k/max/metadata/mixture_train-100_mix_clean.csv"
    rows = [
        "mixture_ID,mixture_path,source_1_path,source_2_path,length",
        "103-1240-0002_26-495-0000,/else/mix_clean/a.wav,/else/s1/a.wav,/else/s2/a.wav,160000",
        "103-1240-0002_26-495-0009,/else/mix_clean/b.wav,/else/s1/b.wav,/else/s2/b.wav,160000",
        "103-1240-0002,/else",
    ]
    root = write(tmp_path, LIBRISPEECH | {metadata: "\n".join(rows) + "\n"})
    found, told = imported(librimix, root, "train-100")
    name = "103-1240-0002_26-495-0000"
    heard = audio(f"Libri2Mix/wav16k/max/train-100/mix_clean/{name}.wav")
    text = "THAT HAD ITS SOURCE\nHELLO"
    assert found == [record(f"librimix/train-100/{name}", "overlapped_asr", heard, text, "CC-BY-4.0")]
    assert told == [
        SPOILT,
        f"{metadata}:3 no text: 26-495-0009",
        f"{metadata}:4 2 columns where the header has 5",
    ]


VOXCELEB = {
    "vox1_meta.csv": "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
    "id10002\tA.R._Rahman\tm\tIndia\tdev\n"
    "id10003\tNobody\t?\tIndia\tdev\n"
    "id10270\tEartha_Kitt\tf\tUSA\ttest\n",
    "veri_test.txt": "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n"
    "1 id10270/x6uYqmx31kE/00001.wav\n"
    "0 id10270/x6uYqmx31kE/00001.wav id10300/ize_eiCFEg0/00003.wav\n",
    "wav/id10001/1zcIwhmdeo4/00001.wav": b"",
    "wav/id10001/1zcIwhmdeo4/00002.wav": b"",
    "wav/id10001/7gWzIy6yIIk/00001.wav": b"",
    "wav/id10002/0_laIeN-Q44/00001.wav": b"",
    "wav/id10270/x6uYqmx31kE/00001.wav": b"",
}


def test_voxceleb1_reads_the_published_trials_as_two_utterances_each(tmp_path):
    found, told = imported(voxceleb1, write(tmp_path, VOXCELEB), "test")
    first = audio("wav/id10270/x6uYqmx31kE/00001.wav")
    same, other = audio("wav/id10270/8jEAjG6SegY/00008.wav"), audio("wav/id10300/ize_eiCFEg0/00003.wav")
    assert found == [
        record("voxceleb1/test/000000", "speaker_verification", [first, same], "Yes", "CC-BY-4.0"),
        record("voxceleb1/test/000001", "speaker_verification", [first, other], "No", "CC-BY-4.0"),
    ]
    assert len(told) == 1 and told[0].startswith("veri_test.txt:2 expected 0 or 1 and two files")


def test_voxceleb1_draws_true_pairs_from_the_seed_alone(tmp_path):
    root = write(tmp_path, VOXCELEB)
    found, told = imported(voxceleb1, root, "dev", pairs=4)
    assert told == ["vox1_meta.csv:4 no known gender or set: id10003 has '?' and 'dev'"]
    assert len(found) == 3 * 4 + 1 * 2  # the only utterance of its speaker has no partner of its own
    for one in found:
        first, second = (part["path"].split("/")[1:] for part in one.messages[0]["content"])
        same = first[0] == second[0]
        assert one.messages[1]["content"] == [{"type": "text", "text": "Yes" if same else "No"}]
        assert first != second and (not same or first[1] != second[1])  # from another video where there is one
    assert imported(voxceleb1, root, "dev", pairs=4)[0] == found
    assert imported(voxceleb1, root, "dev", pairs=4, seed=1)[0] != found


def test_voxceleb1_genders_come_from_its_table(tmp_path):
    found, _ = imported(voxceleb1, write(tmp_path, VOXCELEB), "test", task="gender_recognition")
    name = "id10270/x6uYqmx31kE/00001"
    extra = {"speaker": "id10270"}
    assert found == [
        record(f"voxceleb1/{name}", "gender_recognition", audio(f"wav/{name}.wav"), "Female", "CC-BY-4.0", extra=extra)
    ]


def spoken(image, *names):
    captions = [
        {"text": f"CAPTION {name}", "speaker": "m0715", "uttid": name, "wav": f"wavs/train/0/{name}.wav"}
        for name in names
    ]
    return {"image": image, "captions": captions}


def spokencoco_files() -> dict[str, str]:
    street, cat = "train2014/COCO_train2014_000000325114.jpg", "val2014/COCO_val2014_000000000042.jpg"
    rows = [spoken(street, *(f"a{n}" for n in range(20))), spoken(cat, *(f"b{n}" for n in range(20)))]
    rows[1]["captions"].append({"text": "NO SOUND", "uttid": "b20"})
    return {"SpokenCOCO/SpokenCOCO_train.json": json.dumps({"data": rows}, indent=0)}


def test_spokencoco_asks_evenly_whether_a_spoken_caption_fits(tmp_path):
    root = write(tmp_path, spokencoco_files())
    found, told = imported(spokencoco, root, "train")
    assert [text.partition(" ")[2] for text in told] == ["no usable 'wav': None"]
    answers = []
    for one in found:
        (part,) = one.messages[0]["content"]
        own = "a" if part["path"].startswith("train2014") else "b"
        heard = Path(part["sound"]).stem
        answer = one.messages[1]["content"][0]["text"]
        assert part["type"] == "image" and part["audio"] == "require"
        assert heard == one.id.split("/")[1] if answer == "Yes" else heard[0] != own
        answers.append(answer)
    assert len(answers) == 40 and 10 < answers.count("Yes") < 30
    assert imported(spokencoco, root, "train")[0] == found


def test_spokencoco_captions_of_one_folder_as_text_or_speech(tmp_path):
    root = write(tmp_path, spokencoco_files())
    picture = {"type": "image", "path": "train2014/COCO_train2014_000000325114.jpg"}
    texts, _ = imported(spokencoco, root, "train", task="image_caption", images="train2014")
    assert len(texts) == 20 and texts[0] == record("spokencoco/a0", "image_caption", picture, "CAPTION a0")
    sounds, _ = imported(spokencoco, root, "train", task="asr", images="train2014")
    assert sounds[0] == record("spokencoco/a0", "asr", audio("SpokenCOCO/wavs/train/0/a0.wav"), "CAPTION a0")


def test_how2_gives_its_segments_of_videos_with_sound(tmp_path):
    files = {
        "data/train/segments": "fyI1Ev5m1w4_0_1 fyI1Ev5m1w4 0.72 10.2\nfyI1Ev5m1w4_2 fyI1Ev5m1w4 10.88\n"
        "fyI1Ev5m1w4_3 fyI1Ev5m1w4 20.68 23.57\n",
        "data/train/text.id.en": "fyI1Ev5m1w4_0_1 Hi, I'm Ann. Welcome!\nfyI1Ev5m1w4_2 Next.\n",
    }
    found, told = imported(how2, write(tmp_path, files), "train")
    seen = {"type": "video", "path": "subtitles/fyI1Ev5m1w4.mp4", "start": 0.72, "end": 10.2, "audio": "require"}
    assert found == [record("how2/fyI1Ev5m1w4_0_1", "av_asr", seen, "Hi, I'm Ann. Welcome!", "CC-BY-SA-4.0")]
    assert [text.partition(":")[2].partition(" '")[0] for text in told] == [
        "2 expected segment, video, begin and end:",
        "3 no text of it:",
    ]
