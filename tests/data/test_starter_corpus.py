"""The starter corpus: well-formed label tables, disjoint splits, container readers; no package is downloaded."""

import gzip
import io
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
import soundfile
from made_packages import ar, disc, publish, wav
from PIL import Image, ImageDraw

from earsight.data.starter import corpus as starter_corpus
from earsight.data.starter import packages
from earsight.data.starter.containers import read_ar, read_cat, read_group, read_patch, read_rcc
from earsight.data.starter.corpus import PICTURE_KINDS, SOUND_KINDS, Item, build, check_disjoint, read_labels
from earsight.data.starter.normal_forms import normal_picture, normal_sound, picture_print, same_picture
from earsight.data.starter.packages import PACKAGES, unpack
from earsight.data.starter.splitting import split_keys
from earsight.data.starter.views import SIDE, render_picture, render_sound
from earsight.data.starter.writing import write_sound
from earsight.errors import EarsightError

KINDS = {"picture": PICTURE_KINDS, "sound": SOUND_KINDS}


def rcc(version: int = 3) -> bytes:
    """A root with a folder `sub` holding `plain` and zlib-compressed `small`."""
    names, offsets = b"", {}
    for name in ("sub", "plain", "small"):
        offsets[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    packed = struct.pack(">I", 300) + zlib.compress(b"y" * 300)
    data = struct.pack(">I", 5) + b"hello" + struct.pack(">I", len(packed)) + packed
    tail = b"" if version == 1 else bytes(8)
    tree = struct.pack(">IHII", 0, 2, 1, 1) + tail
    tree += struct.pack(">IHII", offsets["sub"], 2, 2, 2) + tail
    tree += struct.pack(">IHII", offsets["plain"], 0, 0, 0) + tail
    tree += struct.pack(">IHII", offsets["small"], 1, 0, 9) + tail
    at = 20
    header = b"qres" + struct.pack(">4I", version, at + len(data) + len(names), at, at + len(data))
    return header + data + names + tree


def cat(sounds: dict[str, bytes]) -> bytes:
    at, table, body = 8 * len(sounds), b"", b""
    for label, wave in sounds.items():
        entry = bytes([len(label)]) + label.encode("latin-1") + wave
        table += struct.pack("<II", (at + len(body)) | 0x80000000, len(entry))
        body += entry
    return table + body


def patch(samples: list[np.ndarray], modes: int = 5) -> bytes:
    """One instrument of one layer, its samples at 8 kHz, signed 16-bit and looped."""
    blob = b"GF1PATCH110\0ID#000002\0".ljust(129, b"\0") + bytes(63)
    blob += (b"\0" * 6 + bytes([len(samples)])).ljust(47, b"\0")
    for sample in samples:
        packed = sample.astype("<i2").tobytes()
        header = bytes(8) + struct.pack("<IIIH", len(packed), 0, len(packed), 8000)
        blob += header.ljust(55, b"\0") + bytes([modes]) + bytes(40) + packed
    return blob


def group(files: dict[str, bytes | dict[str, bytes]], outermost: bool = True) -> bytes:
    """A packed OpenClonk group; what is a dictionary lies in a group inside it."""
    contents = {name: group(what, False) if isinstance(what, dict) else what for name, what in files.items()}
    header = bytearray(b"RedWolf Design GrpFolder".ljust(36, b"\0") + struct.pack("<i", len(files))).ljust(204, b"\0")
    header = bytearray(byte ^ 237 for byte in header)
    header[0::3], header[2::3] = header[2::3], header[0::3]
    entries, body = b"", b""
    for name, content in contents.items():
        where = struct.pack("<5i", 0, isinstance(files[name], dict), len(content), 0, len(body))
        entries += (name.encode().ljust(260, b"\0") + where).ljust(316, b"\0")
        body += content
    plain = bytes(header) + entries + body
    return b"\x1e\x8c" + gzip.compress(plain)[2:] if outermost else plain


@pytest.mark.parametrize("sense", ["picture", "sound"])
def test_label_tables_are_well_formed(sense):
    labels = read_labels(sense)
    assert len({(label.source, label.file) for label in labels}) == len(labels)
    for label in labels:
        assert label.source in PACKAGES
        assert label.kind in KINDS[sense]
        for text in (label.file, label.key, label.name, label.licence):
            assert text and text == text.strip(), label
        assert not label.name.lower().startswith(("a ", "an ", "the ")), label
        assert not label.file.startswith(("/", "..")), label


def test_every_kind_has_objects_and_a_kind_is_one_thing_for_a_key():
    for sense, kinds in KINDS.items():
        objects = Counter(kind for kind, _ in {(label.kind, label.key) for label in read_labels(sense)})
        assert set(objects) == set(kinds)
        assert min(objects.values()) >= 5
    assert min(Counter(label.kind for label in read_labels("picture")).values()) >= 35
    sounds = Counter(label.kind for label in read_labels("sound"))
    assert all(sounds[kind] >= 40 for kind in SOUND_KINDS if kind != "insect")


def test_splits_keep_objects_whole_and_give_every_kind_unseen_objects():
    labels = [(sense, label.kind, label.key) for sense in KINDS for label in read_labels(sense)]
    splits = split_keys(labels)
    assert set(splits) == {key for _, _, key in labels}
    there = {(sense, kind, splits[key]) for sense, kind, key in labels}
    assert there == {
        (sense, kind, side) for sense in KINDS for kind in KINDS[sense] for side in ("train", "val", "test")
    }
    assert splits == split_keys(reversed(labels))
    tested = Counter(kind for sense, kind, key in labels if sense == "sound" and splits[key] == "test")
    assert min(tested[kind] for kind in SOUND_KINDS) >= 2
    assert len({key for sense, kind, key in labels if (sense, kind, splits[key]) == ("sound", "insect", "train")}) >= 3


def test_one_object_on_two_sides_is_refused():
    check_disjoint([("train", "cow", "a"), ("train", "cow", "b"), ("test", "yak", "c")])
    with pytest.raises(AssertionError, match="key cow"):
        check_disjoint([("train", "cow", "a"), ("test", "cow", "b")])
    with pytest.raises(AssertionError, match="content a"):
        check_disjoint([("train", "cow", "a"), ("test", "yak", "a")])


@pytest.mark.parametrize("version", [1, 3])
def test_qt_resources_give_their_files_by_path(version):
    assert read_rcc(rcc(version)) == {"sub/plain": b"hello", "sub/small": b"y" * 300}
    with pytest.raises(EarsightError, match="qres"):
        read_rcc(b"nothing")


def test_cat_files_give_labels_and_waves():
    first, second = wav(np.full(160, 0.5)), wav(np.full(320, -0.5))
    assert read_cat(cat({"Sheep": first, "Cow": second})) == [("Sheep", first), ("Cow", second)]


def test_patches_give_each_note_once():
    notes = [np.arange(160) * 100, np.arange(80) * -100]
    waves = read_patch(patch(notes))
    for note, (samples, rate) in zip(notes, (soundfile.read(io.BytesIO(w), dtype="int16") for w in waves), strict=True):
        assert rate == 8000 and np.array_equal(samples, note)
    with pytest.raises(EarsightError, match="signed 16-bit"):
        read_patch(patch(notes, modes=7))
    with pytest.raises(EarsightError, match="GF1PATCH110"):
        read_patch(b"nothing")


def test_groups_give_files_of_groups_inside_them():
    packed = group({"authors.txt": b"me", "Animals.ocg": {"Bat.ocg": {"Chirp.wav": b"RIFF"}, "Buzz.ogg": b"OggS"}})
    assert read_group(packed) == {
        "authors.txt": b"me",
        "Animals.ocg/Bat.ocg/Chirp.wav": b"RIFF",
        "Animals.ocg/Buzz.ogg": b"OggS",
    }
    with pytest.raises(EarsightError, match="RedWolf"):
        read_group(bytes(400))


def test_files_inside_containers_are_named(tmp_path, monkeypatch):
    note = np.arange(160) * 100
    made = {"Cello.pat": patch([note]), "Sound.ocg": group({"Bee.ocg": {"Buzz.ogg": b"OggS"}}), "Bad.ocg": b"short"}
    package = publish(monkeypatch, tmp_path, {"things": made})["things"]
    source_files = packages.SourceFiles({"things": unpack(package, tmp_path / "cache", tmp_path)})
    assert source_files.read("things", "Sound.ocg!Bee.ocg/Buzz.ogg") == b"OggS"
    assert np.array_equal(
        soundfile.read(io.BytesIO(source_files.read("things", "Cello.pat:0")), dtype="int16")[0], note
    )
    for file, reason in (("Cello.pat:7", "holds no 7"), ("Bad.ocg!Bee.ogg", "Bad.ocg cannot be read"), ("a", "no a")):
        with pytest.raises(packages.DamagedFileError, match=reason):
            source_files.read("things", file)


def test_ar_members_of_odd_length_are_padded():
    assert read_ar(ar({"odd": b"abc", "even": b"abcd"})) == {"odd": b"abc", "even": b"abcd"}
    with pytest.raises(EarsightError, match="cut short"):
        read_ar(ar({"odd": b"abc"})[:-2])


def test_packages_are_checked_and_unpacked_once(tmp_path, monkeypatch):
    package = publish(monkeypatch, tmp_path, {"things": {"a.txt": b"A"}})["things"]
    blob = (tmp_path / package.deb).read_bytes()
    with pytest.raises(EarsightError, match="nowhere: no such folder"):
        unpack(package, tmp_path / "cache", tmp_path / "nowhere")
    (tmp_path / package.deb).unlink()
    with pytest.raises(EarsightError, match="holds no things_1-1_all.deb"):
        unpack(package, tmp_path / "cache", tmp_path)
    (tmp_path / package.deb).write_bytes(blob + b"\n")
    with pytest.raises(EarsightError, match="not the pinned things 1-1"):
        unpack(package, tmp_path / "cache", tmp_path)
    (tmp_path / package.deb).write_bytes(blob)
    root = unpack(package, tmp_path / "cache", tmp_path)
    assert (root / "a.txt").read_bytes() == b"A"
    (tmp_path / package.deb).unlink()
    assert unpack(package, tmp_path / "cache") == root


def test_without_apt_the_way_out_is_named(tmp_path, monkeypatch):
    package = publish(monkeypatch, tmp_path, {"things": {}})["things"]
    with pytest.raises(EarsightError, match="--from"):
        unpack(package, tmp_path / "cache")


def test_drawings_on_paper_are_cut_out_and_photographs_are_not():
    page = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(page).ellipse((50, 20, 110, 80), fill="white", outline="black", width=4)
    packed = io.BytesIO()
    page.save(packed, "PNG")
    cut = normal_picture(packed.getvalue(), "page.png", white_paper=True)
    assert abs(cut.width - 61) <= 1 and abs(cut.height - 61) <= 1
    assert cut.getpixel((1, 1))[3] == 0
    assert cut.getpixel((cut.width // 2, cut.height // 2)) == (255, 255, 255, 255)
    assert normal_picture(packed.getvalue(), "page.png").size == (200, 100)
    assert normal_picture(packed.getvalue(), "page.png", "left").size == (100, 100)


def test_mirrored_pictures_are_the_same_and_other_colours_are_not():
    red, blue = picture_print(disc((200, 30, 30), 10)), picture_print(disc((30, 30, 200), 10))
    assert same_picture(red, picture_print(disc((200, 30, 30), 10).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert not same_picture(red, blue)


def test_sounds_lose_digital_silence_and_keep_ten_seconds():
    tone = 0.5 * np.sin(np.arange(48000 * 12) * 0.05)
    padded = np.concatenate([np.zeros(48000), tone, np.zeros(48000)])
    assert len(normal_sound(wav(padded, 48000), "long.wav")) == 160000
    assert abs(len(normal_sound(wav(padded[: 48000 * 3], 48000), "short.wav")) - 32000) < 400
    assert len(normal_sound(wav(tone[:4801], 48000) + b"x", "odd.wav")) > 1500
    with pytest.raises(EarsightError, match="digital silence"):
        normal_sound(wav(np.zeros(1000)), "nothing.wav")


@pytest.fixture
def small_corpus(tmp_path, monkeypatch):
    """A corpus of generated media behind the real builder: four objects in one package."""
    made, tables = {}, {"picture": [], "sound": []}
    colours = {"cow": (120, 70, 30), "cat": (20, 20, 20), "dog": (230, 200, 150), "yak": (60, 90, 200)}
    for at, (key, colour) in enumerate(colours.items()):
        packed = io.BytesIO()
        disc(colour, 5 + 12 * at).save(packed, "PNG")
        made[f"{key}.png"] = packed.getvalue()
        tone = 0.4 * np.sin(np.arange(8000) * 0.02 * (at + 1)) * np.linspace(1, at / 4, 8000)
        made[f"{key}.wav"] = wav(tone)
        tables["picture"].append(starter_corpus.Label("things", f"{key}.png", key, key, "mammal", "CC0-1.0"))
        tables["sound"].append(starter_corpus.Label("things", f"{key}.wav", key, key, "mammal", "CC0-1.0"))
    made["again.png"] = made["cow.png"]
    tables["picture"].append(starter_corpus.Label("things", "again.png", "ox", "ox", "mammal", "CC0-1.0"))
    publish(monkeypatch, tmp_path, {"things": made})
    monkeypatch.setattr(starter_corpus, "read_labels", tables.__getitem__)
    monkeypatch.setattr(starter_corpus, "BACKGROUNDS", ("things", "no-folder"))
    return build(tmp_path / "cache", tmp_path)


def test_a_corpus_is_built_from_packages_without_duplicates(small_corpus):
    assert len(small_corpus.pictures) == len(small_corpus.sounds) == 4
    assert small_corpus.duplicates == (("things/again.png", "things/cow.png"),)
    assert {item.split for item in small_corpus.pictures} == {"train", "val", "test"}
    sides = {item.key: item.split for item in small_corpus.pictures}
    assert all(item.split == sides[item.key] and item.path.is_file() for item in small_corpus.sounds)


def test_sound_files_do_not_tell_when_they_were_written(tmp_path):
    waveform = np.linspace(-0.5, 0.5, 1600, dtype=np.float32)
    write_sound(tmp_path / "a.wav", waveform)
    blob = (tmp_path / "a.wav").read_bytes()
    assert blob[blob.index(b"PEAK") + 12 :][:4] == bytes(4)
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], waveform)


def test_views_of_unseen_objects_do_not_vary_and_training_views_do(small_corpus):
    picture, sound = small_corpus.pictures[0], small_corpus.sounds[0]
    for render, item in ((render_picture, picture), (render_sound, sound)):
        fixed = [render(item, np.random.default_rng(seed), split="test") for seed in (0, 1)]
        assert np.array_equal(*fixed)
        drawn = [render(item, np.random.default_rng(seed), split="train") for seed in (0, 1, 0)]
        assert np.array_equal(drawn[0], drawn[2])
        assert drawn[0].shape != drawn[1].shape or not np.array_equal(drawn[0], drawn[1])
    for seed in range(30):
        frame = render_picture(picture, np.random.default_rng(seed), split="train")
        assert frame.shape == (SIDE, SIDE, 3) and frame.dtype == np.uint8
        waveform = render_sound(sound, np.random.default_rng(seed), split="train")
        assert waveform.dtype == np.float32 and waveform.ndim == 1 and 0 < len(waveform) <= 96000
        assert 0 < np.abs(waveform).max() <= 1


def test_items_name_where_they_come_from(small_corpus):
    item = small_corpus.pictures[0]
    assert isinstance(item, Item) and item.source == "things" and item.licence == "CC0-1.0"
