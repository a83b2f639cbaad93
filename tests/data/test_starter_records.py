"""The starter corpus as records: only its training side, every medium can be rendered, answers true of it."""

import json

import pytest

from earsight.data.records import load
from earsight.data.starter import further_records
from earsight.data.starter import records as starter_records
from earsight.data.starter.rendering import SCHEME
from earsight.errors import EarsightError
from earsight.media.sampling import Sampling
from earsight.training.pairing import sense_of

SELDOM = ["barn", "bassoon", "heifer", "timpani", "trolleybus", "vixen", "zither"]
SENTENCES = ["the owl sleeps by day", "a drum is heard from far", "she writes badly"]


@pytest.fixture(scope="module")
def written(renderer, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starter_records, "sentences", lambda *places: SENTENCES)
        patch.setattr(starter_records, "seldom_words", lambda *places: SELDOM)
        patch.setattr(starter_records, "COMPOSED", dict.fromkeys(starter_records.COMPOSED, 3))
        patch.setattr(further_records, "FURTHER", dict.fromkeys(further_records.FURTHER, 3))
        patch.setattr(further_records, "NOISY", 6)
        root = tmp_path_factory.mktemp("records")
        yield starter_records.write_starter_records(root, renderer.corpus, root / "cache")


def addresses(record):
    part = record.messages[0]["content"][0]
    return [part[key] for key in ("path", "sound") if key in part]


def test_only_the_training_side_is_in_the_records(written, renderer):
    sides = {item.id: item.split for item in (*renderer.corpus.pictures, *renderer.corpus.sounds)}
    for name in ("pictures", "sounds", "films", "negatives"):
        for record in load(written / f"{name}.jsonl"):
            parts = [at.removeprefix(SCHEME).split("/") for at in addresses(record) if at.count("/") > 2]
            found = {part[1] if part[0] == "composed" else sides[part[1]] for part in parts}
            assert found == {"train"}
    assert all("/train/" in at for record in load(written / "composed.jsonl") for at in addresses(record))


def test_every_medium_can_be_rendered_and_has_the_senses_its_file_says(written, renderer):
    senses = {"pictures": "picture", "sounds": "sound", "films": "both", "speech": "sound"}
    for name, sense in senses.items():
        records = load(written / f"{name}.jsonl")
        assert records and {sense_of(record) for record in records} == {sense}
        for record in records[:5]:
            for at in addresses(record):
                clip = renderer.clip(at, Sampling())
                assert clip.picture == "present" or clip.sound == "present"


def test_a_missing_sense_is_never_described(written):
    for record in load(written / "negatives.jsonl"):
        told = [message["content"][0]["text"] for message in record.messages[1::2]]
        missing = [one for one in told if "no sound" in one or "no picture" in one or "ignored" in one]
        film = record.messages[0]["content"][0]["type"] == "video"
        assert len(missing) == len(told) or (len(missing) == 2 and (film or "Yes, there is sound." in told))


def test_films_whose_sound_is_ignored_are_asked_of_it_and_of_what_they_show(written, renderer):
    films = [one for one in load(written / "negatives.jsonl") if one.messages[0]["content"][0]["type"] == "video"]
    told = [[message["content"][0]["text"] for message in one.messages[1::2]] for one in films]
    assert len(films) == starter_records.IGNORED_CLIPS
    assert all(answers.count("The sound was ignored, as asked.") == 2 for answers in told)
    assert any("There is no object." in answers for answers in told) and len({tuple(one) for one in told}) > 10
    asked_otherwise = {at for record in load(written / "composed.jsonl") for at in addresses(record)}
    assert not asked_otherwise & {at for one in films for at in addresses(one)}
    clip = renderer.clip(addresses(films[0])[0], Sampling())
    assert clip.sound == "present" and {sense_of(one) for one in films} == {"picture"}


def test_a_medium_is_asked_several_things_and_none_is_always_the_first(written):
    for name in ("pictures", "sounds", "films", "composed"):
        records = load(written / f"{name}.jsonl")
        assert all(len(record.messages) % 2 == 0 and len(record.messages) >= 2 for record in records)
        assert sum(len(record.messages) for record in records) > 3 * len(records)
    first = {record.messages[1]["content"][0]["text"].split()[0] for record in load(written / "pictures.jsonl")}
    assert len(first) > 1


def test_a_spoken_sentence_is_marked_as_synthetic_and_written_as_it_was_said(written):
    records = load(written / "speech.jsonl")
    said = [record.messages[1]["content"][0]["text"] for record in records]
    assert set(SENTENCES) <= set(said) and len(said) > len(SENTENCES), "and a word or two of some"
    assert all(any(one in sentence for sentence in SENTENCES) for one in said)
    assert all(record.extra["voice"].startswith("synthetic: ") for record in records)


def test_a_word_that_sentences_seldom_have_is_in_several_lists_each_time_beside_others(written, renderer):
    records = load(written / "word_lists.jsonl")
    lists = [record.messages[1]["content"][0]["text"].split() for record in records]
    assert sorted(word for one in lists for word in one) == sorted(SELDOM * starter_records.WORD_LISTS)
    assert len({tuple(one) for one in lists}) == len(lists), "in another order each time"
    assert {sense_of(record) for record in records} == {"sound"}
    assert all(renderer.clip(at, Sampling()).sound == "present" for record in records for at in addresses(record))
    assert all(record.extra["words"]["said"] == " ".join(one) for record, one in zip(records, lists, strict=True))


def test_further_tasks_are_of_the_training_side_and_their_media_can_be_rendered(written, renderer):
    records = load(written / "further.jsonl")
    assert {record.task for record in records} == {*further_records.FURTHER, "speech_in_noise"}
    for record in records:
        (at,) = addresses(record)
        clip = renderer.clip(at, Sampling())
        assert "/train/" in at and sense_of(record) in ("both", "picture", "sound")
        assert (clip.picture == "absent") == (sense_of(record) == "sound")


def test_a_sentence_over_a_sound_is_to_be_written_down_and_the_sound_to_be_told(written):
    for record in load(written / "further.jsonl"):
        if record.task == "speech_in_noise":
            told = {message["content"][0]["text"] for message in record.messages[1::2]}
            assert len(told) == 2 and told & set(SENTENCES)


def test_classes_that_share_a_word_with_an_unseen_object_are_no_prototypes(written):
    names = {record.extra["words"]["seen name"] for record in load(written / "prototypes.jsonl")}
    assert names and not any(word in name.split() for name in names for word in ("owl", "cow", "bus"))


def test_written_once(written, renderer):
    before = (written / "films.jsonl").stat().st_mtime_ns
    assert starter_records.write_starter_records(written.parent, renderer.corpus, written.parent / "cache") == written
    assert (written / "films.jsonl").stat().st_mtime_ns == before
    assert json.loads((written / starter_records.SOURCE_FILE).read_text())["hash"] == renderer.corpus.hash


def test_an_address_of_another_corpus_is_refused_by_name(renderer):
    with pytest.raises(EarsightError, match="no such item"):
        renderer.clip(f"{SCHEME}picture/nobody/0", Sampling())
