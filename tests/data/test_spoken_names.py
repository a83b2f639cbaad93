"""Names that people read: beside their pictures in a package, with their texts, each on its object's side."""

import random
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from earsight.data.starter import spoken_names as names
from earsight.data.starter.corpus import SAMPLE_RATE_HZ
from earsight.data.starter.further_frozen import FurtherWriter
from earsight.data.starter.further_records import name_records, name_turns
from earsight.data.starter.rendering import Renderer
from earsight.media.sampling import Sampling


@pytest.fixture
def recorded(renderer, tmp_path, monkeypatch):
    """The made-up corpus' owl and crow, as the package has them: read in French and English, and in French."""
    by_name = {item.name: item for item in renderer.corpus.of("picture", "train")}
    pictures = [replace(by_name[name], source=names.SOURCE, file=f"birds/{name}.png") for name in ("owl", "crow")]
    (tmp_path / "birds").mkdir()
    tone = np.sin(np.arange(8000) / 9).astype(np.float32) * 0.3
    for file in ("owl_desc.ogg", "owl_desc_fr.ogg", "crow_desc_fr.ogg", "owl_desc_es.ogg"):
        soundfile.write(tmp_path / "birds" / file, tone, SAMPLE_RATE_HZ)
    (tmp_path / "birds" / "owl.txt").write_text("An owl.\nfr.utf8=Un hibou.\nde.utf8=Eine Eule.\n", encoding="utf-8")
    (tmp_path / "birds" / "crow.txt").write_text(f"{'A crow ' * 20}\nfr.utf8=Un corbeau.\n", encoding="utf-8")
    monkeypatch.setattr(names, "unpack", lambda *places: tmp_path)
    return replace(renderer.corpus, pictures=[*pictures, *renderer.corpus.pictures[2:]])


def test_a_recording_without_a_text_and_a_remark_in_place_of_a_name_are_left_out(recorded, tmp_path):
    found = names.spoken_names(recorded, tmp_path)
    assert {(one.language, one.text, one.english) for one in found} == {
        ("en", "An owl.", "An owl."),
        ("fr", "Un hibou.", "An owl."),
    }


def test_a_corpus_without_the_package_asks_for_none(renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(names, "unpack", lambda *places: 1 / 0)
    assert names.spoken_names(renderer.corpus, tmp_path) == []


def test_what_is_asked_of_a_recording_is_true_and_english_is_not_translated(recorded, tmp_path):
    found = {one.language: one for one in names.spoken_names(recorded, tmp_path)}
    told = {answer for _, answer in name_turns(found["fr"], random.Random(0))}
    assert told == {"un hibou", "French.", "An owl."}
    assert {answer for _, answer in name_turns(found["en"], random.Random(0))} == {"an owl", "English."}


def test_only_names_of_trained_objects_are_trained_on_and_each_can_be_rendered(recorded, tmp_path):
    found = names.spoken_names(recorded, tmp_path)
    unseen = [replace(one, picture=replace(one.picture, split="test")) for one in found]
    assert not list(name_records(unseen, 17)) and names.side_of("test_known") == "train"
    renderer = Renderer(recorded, None, lambda: found)
    records = list(name_records(found, 17))
    clips = [renderer.clip(record.messages[0]["content"][0]["path"], Sampling()) for record in records]
    assert len(clips) == 4 and all(clip.sound == "present" and clip.picture == "absent" for clip in clips)


def test_a_held_out_recording_is_asked_one_thing_and_english_its_language_only(recorded, tmp_path):
    found = names.spoken_names(recorded, tmp_path)
    unseen = [replace(one, picture=replace(one.picture, split="test")) for one in found]
    (tmp_path / "media").mkdir()
    asked = list(FurtherWriter(Renderer(recorded, None, lambda: unseen), "test", tmp_path).abroad([*found, *unseen]))
    told = {one.id: (one.task, one.messages[1]["content"]) for one in asked}
    picture = found[0].picture.id
    assert told == {f"names/en/{picture}": ("language", "English."), f"names/fr/{picture}": ("language", "French.")}
    assert all((tmp_path / one.messages[0]["content"][0]["path"]).is_file() for one in asked)
