"""Pictures: a few lines in each published layout become exactly these records; a damaged entry is told and left out."""

import json

import pytest
from published_layouts import imported, record, write

from earsight.data.importers import coco_captions, llava, ocrvqa, textcaps
from earsight.data.records import Record
from earsight.errors import EarsightError


def image(path):
    return {"type": "image", "path": path}


def said(*values):
    return [{"from": ("human", "gpt")[index % 2], "value": value} for index, value in enumerate(values)]


def test_llava_conversations_keep_their_turns_and_lose_the_mark_of_the_picture(tmp_path):
    entries = [
        {
            "id": "000000033471",
            "image": "000000033471.jpg",
            "conversations": said("<image>\nWhat colour is the bus?", "Red.", "Is it old?", "It looks so."),
        },
        {"id": "000000052846", "image": "000000052846.jpg", "conversations": said("Where is the cat?\n<image>")},
        {"id": "000000052846", "image": "000000052846.jpg", "conversations": said("Where is it?\n<image>", "Outside.")},
    ]
    found, told = imported(llava, write(tmp_path, {"llava_instruct_150k.json": json.dumps(entries)}), "150k")
    messages = [
        {"role": "user", "content": [image("train2017/000000033471.jpg"), text("What colour is the bus?")]},
        {"role": "assistant", "content": [text("Red.")]},
        {"role": "user", "content": [text("Is it old?")]},
        {"role": "assistant", "content": [text("It looks so.")]},
    ]
    assert found == [
        Record("llava150k/000000", "llava150k", "image_conversation", messages, "", {"published_id": "000000033471"}),
        record(
            "llava150k/000002",
            "image_conversation",
            image("train2017/000000052846.jpg"),
            "Outside.",
            question="Where is it?",
            extra={"published_id": "000000052846"},
        ),
    ]
    assert told == ["llava_instruct_150k.json:1 'conversations' is not human, gpt, human, gpt ... with a text each"]


def test_llava_mixture_takes_folders_from_its_entries_and_conversations_without_a_picture(tmp_path):
    entries = [
        {"id": "a", "image": "ocr_vqa/images/1492.jpg", "conversations": said("<image>\nWho wrote it?", "Ann.")},
        {"id": "b", "conversations": said("Write a poem.", "A rose.")},
        {"id": "c", "image": 7, "conversations": said("<image>\nWho?", "Ann.")},
    ]
    found, told = imported(llava, write(tmp_path, {"llava_v1_5_mix665k.json": json.dumps(entries)}), "665k")
    assert found == [
        record(
            "llava665k/000000",
            "image_conversation",
            image("ocr_vqa/images/1492.jpg"),
            "Ann.",
            question="Who wrote it?",
            extra={"published_id": "a"},
        ),
        record(
            "llava665k/000001",
            "image_conversation",
            [],
            "A rose.",
            question="Write a poem.",
            extra={"published_id": "b"},
        ),
    ]
    assert told == ["llava_v1_5_mix665k.json:1 no usable 'image': 7"]
    with pytest.raises(EarsightError, match="no split 'train'; there are: 150k, 80k, 665k, 595k, 558k"):
        imported(llava, tmp_path, "train")


def test_ocrvqa_asks_each_question_of_the_split(tmp_path):
    books = {
        "761183272": book(1, ["Who wrote this book?", "Is it a calendar?"], ["Sandra Boynton", "Yes"], "61Y5.jpg"),
        "1": book(3, ["Who wrote this book?"], ["Nobody"], "a.jpg"),
        "2": book(1, ["Who wrote this book?"], [], "b.jpg"),
        "3": book(1, ["Who wrote this book?", "When?"], ["Ann", ""], "c.gif"),
    }
    root = write(tmp_path, {"dataset.json": json.dumps(books)})
    found, told = imported(ocrvqa, root, "train")
    cover = image("images/761183272.jpg")
    assert found == [
        record("ocrvqa/761183272/q0", "ocr_qa", cover, "Sandra Boynton", question="Who wrote this book?"),
        record("ocrvqa/761183272/q1", "ocr_qa", cover, "Yes", question="Is it a calendar?"),
        record("ocrvqa/3/q0", "ocr_qa", image("images/3.gif"), "Ann", question="Who wrote this book?"),
    ]
    assert told == ["dataset.json:2 1 questions but 0 answers", "dataset.json:3/1 no usable 'answer': ''"]
    found, _ = imported(ocrvqa, root, "test", ending=".png")
    assert found == [record("ocrvqa/1/q0", "ocr_qa", image("images/1.png"), "Nobody", question="Who wrote this book?")]


def test_ocrvqa_that_is_not_an_object_is_refused(tmp_path):
    with pytest.raises(EarsightError, match="expected a JSON object, not list"):
        imported(ocrvqa, write(tmp_path, {"dataset.json": "[]"}), "train")
    with pytest.raises(EarsightError, match="not JSON"):
        imported(ocrvqa, write(tmp_path, {"dataset.json": '{"761183272": {'}), "train")


def test_textcaps_are_captions_whose_question_is_left_to_the_task(tmp_path):
    book = {
        "dataset_type": "train",
        "data": [
            caption("1f6e", "A sign says stop."),
            caption("1f6e", "A stop sign."),
            {"image_id": "2a"},
            caption("2b", "Two beers. "),
        ],
    }
    found, told = imported(textcaps, write(tmp_path, {"TextCaps_0.1_train.json": json.dumps(book, indent=1)}), "train")
    first, second = image("train_images/1f6e.jpg"), image("train_images/2b.jpg")
    assert found == [
        record("textcaps/1f6e/0", "text_caption", first, "A sign says stop.", "CC-BY-4.0"),
        record("textcaps/1f6e/1", "text_caption", first, "A stop sign.", "CC-BY-4.0"),
        record("textcaps/2b/0", "text_caption", second, "Two beers.", "CC-BY-4.0"),
    ]
    assert told == ["TextCaps_0.1_train.json:20 no usable 'caption_str': None"]


def test_coco_captions_find_their_pictures(tmp_path):
    book = {
        "info": {},
        "images": [{"id": 57870, "file_name": "COCO_train2014_000000057870.jpg"}],
        "licenses": [],
        "annotations": [
            {"image_id": 57870, "id": 787980, "caption": "A restaurant has modern tables.\n"},
            {"image_id": 1, "id": 787981, "caption": "Lost."},
            "what",
        ],
    }
    found, told = imported(
        coco_captions, write(tmp_path, {"annotations/captions_train2014.json": json.dumps(book)}), "train"
    )
    picture = image("train2014/COCO_train2014_000000057870.jpg")
    assert found == [
        record("coco_captions/787980", "image_caption", picture, "A restaurant has modern tables.", "CC-BY-4.0")
    ]
    assert told == [
        "annotations/captions_train2014.json:annotations[1] image 1 is not among 'images'",
        "annotations/captions_train2014.json:annotations[2] expected an object, not str",
    ]


def text(words):
    return {"type": "text", "text": words}


def book(split, questions, answers, name):
    url = f"http://ecx.images-amazon.com/images/I/{name}"
    return {"imageURL": url, "questions": questions, "answers": answers, "title": "T", "genre": "G", "split": split}


def caption(name, words):
    return {"image_id": name, "image_path": f"train/{name}.jpg", "caption_str": words, "reference_strs": [words]}
