"""Building the starter corpus from made-up packages: licence tiers, damaged files, what is missing, the same bytes."""

import json
from collections import namedtuple

import pytest
from made_packages import noise, patchwork, publish

from earsight.data.starter import corpus, licences, packages, writing
from earsight.data.starter.corpus import build, folder_of, load_built, read_labels
from earsight.data.starter.label_tables import Label, check_disjoint, read_duplicates
from earsight.data.starter.licences import TIERS, author_of, holds, tier_of
from earsight.errors import EarsightError

SOURCES = {"free": "CC0-1.0", "alike": "CC BY-SA 3.0", "strict": "GPL-2"}
N_OBJECTS = 20  # of each source; those of one number have one name


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Three packages of three licences, 120 files; a function that builds from them."""
    files: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
    tables: dict[str, list[Label]] = {"picture": [], "sound": []}
    for at, (source, licence) in enumerate(SOURCES.items()):
        for n in range(N_OBJECTS):
            files[source] |= {f"{n}.png": patchwork(100 * at + n), f"{n}.wav": noise(100 * at + n)}
            for sense, ending in (("picture", "png"), ("sound", "wav")):
                tables[sense].append(Label(source, f"{n}.{ending}", f"{n}", f"thing {n}", "mammal", licence))
    files["alike"] |= {f"behind/{n}.jpg": patchwork(900 + n) for n in range(10)}
    monkeypatch.setattr(corpus, "read_labels", tables.__getitem__)
    monkeypatch.setattr(corpus, "read_duplicates", dict)
    monkeypatch.setattr(corpus, "BACKGROUNDS", ("alike", "behind"))
    monkeypatch.setattr(corpus, "BUILT_MB", dict.fromkeys(TIERS, 1))
    monkeypatch.setattr(corpus.Voices, "check_machine", lambda: None)
    use = {"voice": "voices"}

    def built(**settings):
        return build(tmp_path / "cache", tmp_path, **settings)

    built.files, built.folder = files, tmp_path
    built.publish = lambda: publish(monkeypatch, tmp_path, {**files, "voice": {"speak": b"-"}}, **use)
    built.publish()
    return built


def items_of(built):
    return {item.id: item for item in (*built.pictures, *built.sounds)}


def test_a_tier_holds_its_licences_and_every_item_is_on_the_side_it_is_on_in_the_whole_corpus(world):
    whole = items_of(world())
    assert {item.split for item in whole.values()} == {"train", "val", "test", "val_known", "test_known"}
    for tier in TIERS:
        mine = world(tier=tier)
        assert mine.tier == tier and mine.folder == folder_of(tier, world.folder / "cache")
        expected = {name: item.split for name, item in whole.items() if holds(tier, item.licence)}
        assert {name: item.split for name, item in items_of(mine).items()} == expected
        assert load_built(tier, world.folder / "cache") == mine
    assert not list((folder_of("open", world.folder / "cache") / "backgrounds").iterdir())  # they are CC BY-SA
    assert len({folder_of(tier, world.folder / "cache").name for tier in TIERS}) == 3


def test_a_tier_needs_only_the_packages_with_its_items(world):
    for source in ("strict", "alike"):
        (world.folder / f"{source}_1-1_all.deb").unlink()
    assert len(world(tier="open").pictures) == N_OBJECTS
    with pytest.raises(EarsightError, match=r"holds no alike_1-1_all.deb.*; without it .* build: --tier open$"):
        world()


def test_a_package_that_every_tier_needs_is_said_to_be(world):
    (world.folder / "free_1-1_all.deb").unlink()
    with pytest.raises(EarsightError, match="every licence tier needs it"):
        world()


def test_speech_needs_packages_of_its_own_and_only_speech_does(world):
    (world.folder / "voice_1-1_all.deb").unlink()
    with pytest.raises(EarsightError, match="holds no voice_1-1_all.deb.*--without speech"):
        world(speech=True)
    assert len(world().pictures) == 3 * N_OBJECTS


def test_a_damaged_file_is_counted_with_its_reason_and_moves_nothing(world):
    sides = {name: item.split for name, item in items_of(world()).items()}
    world.files["strict"]["3.png"] = world.files["strict"]["3.png"][:60]
    del world.files["free"]["5.wav"]
    world.publish()
    damaged = world()
    (picture, why), (sound, why_not) = damaged.damaged
    assert (picture, sound) == ("strict/3.png", "free/5.wav")
    assert "cannot be read as a picture" in why and "holds no 5.wav" in why_not
    found = {name: item.split for name, item in items_of(damaged).items()}
    assert len(found) == len(sides) - 2 and found.items() <= sides.items()
    index = json.loads((damaged.folder / "index.json").read_text())
    assert [one["file"] for one in index["damaged"]] == ["3.png", "5.wav"]


def test_more_than_a_little_damage_stops_the_build_and_leaves_nothing(world):
    for n in range(3):
        world.files["free"][f"{n}.wav"] = b"RIFF"
    world.publish()
    with pytest.raises(EarsightError, match=r"3 of 120 files are damaged, more than 2% \(first free: 0.wav cannot"):
        world()
    assert list((world.folder / "cache" / "corpus").iterdir()) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_build_leaves_nothing_half_written(world, monkeypatch, kind):
    def interrupt(*_):
        raise kind

    monkeypatch.setattr(writing.Writer, "write_sounds", interrupt)
    with pytest.raises(kind):
        world()
    assert list((world.folder / "cache" / "corpus").iterdir()) == []
    assert not [path.name for path in (world.folder / "cache" / "packages").iterdir() if path.name.startswith("in")]


def test_too_little_disk_is_said_before_anything_is_unpacked(world, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda path: usage(10**9, 0, 6_000_000))
    with pytest.raises(EarsightError, match="6 MB are free and 7 MB are needed .6 for packages, 0 .*, 1 for the"):
        world()
    assert not (world.folder / "cache").exists()
    assert len(world(tier="share-alike").pictures) == 2 * N_OBJECTS  # 5 MB


def test_a_cache_that_cannot_be_written_is_one_line(world):
    (world.folder / "cache").write_text("a file")
    with pytest.raises(EarsightError, match="cache.*nothing was built"):
        world()


def test_a_second_build_is_the_same_to_the_hash_and_another_byte_is_not(world):
    first = world()
    first.folder.rename(world.folder / "first")
    second = world()
    assert second.content_hash == first.content_hash and len(first.content_hash) == 64
    index = json.loads((second.folder / "index.json").read_text())
    assert writing.content_hash(second.folder, index) == second.content_hash
    index["sounds"][0]["name"] = "another"
    assert writing.content_hash(second.folder, index) != second.content_hash
    index["sounds"][0]["name"] = first.sounds[0].name
    second.pictures[0].path.write_bytes(b"another")
    assert writing.content_hash(second.folder, index) != second.content_hash


def test_a_corpus_built_before_files_and_authors_were_kept_still_loads(world):
    built = world()
    index = json.loads((built.folder / "index.json").read_text())
    for entry in (*index["pictures"], *index["sounds"]):
        for later in ("file", "author", "address", "tier"):
            del entry[later]
    old = {key: index[key] for key in ("hash", "pictures", "sounds", "duplicates")}
    (built.folder / "index.json").write_text(json.dumps(old))
    loaded = world()
    assert [item.id for item in loaded.pictures] == [item.id for item in built.pictures]
    assert [item.tier for item in loaded.sounds] == [item.tier for item in built.sounds]
    assert loaded.damaged == () and loaded.content_hash == ""


def test_known_duplicates_are_left_out_even_where_their_twin_is_of_another_tier(world, monkeypatch):
    world.files["free"]["7.png"] = world.files["strict"]["7.png"]
    world.publish()
    monkeypatch.setattr(corpus, "read_duplicates", lambda: {"free/7.png": "strict/7.png"})
    assert len(world(tier="open").pictures) == N_OBJECTS - 1
    assert world().duplicates == (("free/7.png", "strict/7.png"),)


def test_backgrounds_are_on_one_side_each_and_the_same_photograph_on_two_is_refused(world):
    built = world()
    index = json.loads((built.folder / "index.json").read_text())
    splits = [entry["split"] for entry in index["backgrounds"]]
    assert sorted(splits) == ["test"] * 2 + ["train"] * 7 + ["val"]
    assert all((built.folder / entry["path"]).name.startswith(entry["split"]) for entry in index["backgrounds"])
    world.files["alike"] |= {f"behind/{n}.jpg": patchwork(900) for n in range(10)}
    world.publish()
    with pytest.raises(AssertionError, match="more than one side"):
        world()


def test_known_sides_keep_their_object_out_of_the_unseen_ones():
    check_disjoint([("train", "cow", "a"), ("test_known", "cow", "b")])
    with pytest.raises(AssertionError, match="key cow"):
        check_disjoint([("test", "cow", "a"), ("test_known", "cow", "b")])
    with pytest.raises(AssertionError, match="content a"):
        check_disjoint([("train", "cow", "a"), ("test_known", "cow", "a")])


@pytest.mark.parametrize(
    ("licence", "tier"),
    [
        *((one, "open") for one in ("public domain", "CC0-1.0", "CC BY 2.0", "CC BY 4.0", "MIT", "WordNet-3.0")),
        *((one, "share-alike") for one in ("CC BY-SA 3.0", "CC BY-SA 4.0", "GFDL-1.2")),
        *((one, "gpl") for one in ("GPL-2", "GPL-3+", "CC BY-NC 3.0", "CC BY-ND 2.0", "free-art", "")),
    ],
)
def test_a_licence_is_of_one_tier_and_an_unknown_one_of_the_widest(licence, tier):
    assert tier_of(licence) == tier
    assert [holds(wider, licence) for wider in TIERS] == [TIERS.index(wider) >= TIERS.index(tier) for wider in TIERS]


def test_an_unknown_tier_is_met_with_the_nearest():
    with pytest.raises(EarsightError, match="did you mean share-alike"):
        licences.get_tier("sharealike")


def test_every_labelled_file_has_an_author_and_every_named_file_is_labelled():
    labels = [label for sense in ("picture", "sound") for label in read_labels(sense)]
    assert [label.place for label in labels if not author_of(label.source, label.file).name] == []
    places = {label.place for label in labels}
    named = [f"{source}/{file}" for source, some in licences._authors().items() for file in some]
    assert [place for place in named if not place.endswith("*") and place not in places] == []
    assert author_of("scorched3d-data", "apoc/data/a.wav").name == "Apocalypse mod team"
    assert author_of("scorched3d-data", "none/data/a.wav").name == "Gavin Camp"
    assert author_of("nobody", "a.wav") == ("", "")


def test_the_duplicates_that_are_known_are_labels():
    places = {label.place for sense in ("picture", "sound") for label in read_labels(sense)}
    for left_out, kept in read_duplicates().items():
        assert {left_out, kept} <= places and kept not in read_duplicates()


def test_every_tier_has_every_sense_and_needs_fewer_packages_than_the_next():
    needs = [{package.name for package in corpus.needed(tier, speech=True)} for tier in TIERS]
    assert needs[0] < needs[1] < needs[2] == set(packages.PACKAGES)
    assert "tuxpaint-stamps-default" not in needs[1]
    assert all(package.unpacked_mb >= package.packed_mb > 0 for package in packages.PACKAGES.values())
