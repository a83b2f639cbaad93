"""The starter corpus as records: only its training side, every medium there, answers true of it."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from earsight.data.records import load
from earsight.data.starter_corpus import Corpus, Item
from earsight.data.starter_records import VIEWS, write_starter_records
from earsight.training.pairing import sense_of


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    pictures, sounds = [], []
    for split in ("train", "test"):
        picture, sound = folder / f"{split}.png", folder / f"{split}.wav"
        Image.fromarray(rng.integers(0, 255, (80, 80, 3), dtype=np.uint8)).save(picture)
        soundfile.write(sound, rng.normal(0, 0.1, 16000), 16000)
        pictures.append(Item(f"owl-{split}", f"owl-{split}", "owl", "bird", picture, "made", "CC0", split))
        sounds.append(Item(f"hoot-{split}", f"owl-{split}", "owl", "bird", sound, "made", "CC0", split))
    corpus = Corpus(pictures, sounds, "0" * 64, ())
    return write_starter_records(folder / "records", corpus), corpus, folder


def test_only_the_training_side_is_written(written):
    folder, _, _ = written
    names = [file.name for file in folder.iterdir()]
    assert not [name for name in names if "test" in name]
    assert len([name for name in names if name.endswith(".png")]) == VIEWS["picture"]
    assert len([name for name in names if name.endswith(".wav")]) == VIEWS["sound"]


def test_every_record_has_its_media_and_the_senses_its_file_says(written):
    folder, _, _ = written
    senses = {"pictures": "picture", "sounds": "sound", "films": "both", "negatives": "picture"}
    for name, sense in senses.items():
        records = load(folder / f"{name}.jsonl")
        assert records and {sense_of(record) for record in records} == {sense}
        for record in records:
            part = record.messages[0]["content"][0]
            assert all((folder / part[key]).is_file() for key in ("path", "sound") if key in part)


def test_a_picture_without_sound_is_said_to_have_none(written):
    told = {record.messages[1]["content"][0]["text"] for record in load(written[0] / "negatives.jsonl")}
    assert all("no sound" in text.lower() for text in told)


def test_written_once(written):
    folder, corpus, root = written
    before = (folder / "films.jsonl").stat().st_mtime_ns
    assert write_starter_records(root / "records", corpus) == folder
    assert (folder / "films.jsonl").stat().st_mtime_ns == before
