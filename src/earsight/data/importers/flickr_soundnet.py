"""Flickr-SoundNet with boxes: where does the sound come from? 5,000 pictures with their sound, each marked by three
people (Senocak et al., CVPR 2018). For research purposes only.

    ROOT/Annotations/10000130166.xml       two levels below the root, several <bbox>: the first child is no corner, the
                                           next four are left, top, right, bottom on 256 x 256 pixels
    ROOT/Data/10000130166/10000130166.wav and .jpg          the folder or the file is named by the picture
    ROOT/flickr_test.csv                   10000130166,202  a test picture and a number that is not used

The archive that ardasnck/learning_to_localize_sound_source links to; folders and boxes as the readers of
Rethinking-Visual-Sound-Localization, EZ-VSL and Localizing-Visual-Sounds-the-Hard-Way take them. Splits: test (listed
in flickr_test.csv), train (the others), all.

Trained on by Dolphin (section 4.1: audio-visual source localisation). How it writes a place as text is not published:
here [left, top, right, bottom] as shares of width and height, the least box around what at least two people marked,
which those readers count in full.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "research only"
SIZE = 256
SPLITS = {name: name for name in ("train", "test", "all")}
Box = tuple[float, float, float, float]


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """A picture with its sound each, task "av_localisation"."""
    _annotations.choose(SPLITS, split, "flickr_soundnet")
    tested = set()
    if split != "all":
        listed = _tables.there(root / "flickr_test.csv", "Flickr-SoundNet")
        tested = {line.split(",")[0].strip() for _, line in _tables.lines(listed, problems)}
    sounds = {}
    for file in sorted((root / "Data").glob("*/*.wav")):
        sounds[file.parent.name] = sounds[file.stem] = file.relative_to(root)
    for file in sorted(_tables.there(root / "Annotations", "Flickr-SoundNet").glob("*.xml")):
        name = file.stem
        if split != "all" and (name in tested) != (split == "test"):
            continue
        box = consensus(_boxes(file, problems))
        if box is None or name not in sounds:
            problems.add(f"{file}", "no place that two people marked" if box is None else "no sound of it in Data")
            continue
        sound = sounds[name].as_posix()
        part = {
            "type": "image",
            "path": sounds[name].with_suffix(".jpg").as_posix(),
            "sound": sound,
            "audio": "require",
        }
        turns = [("", written(tuple(value / SIZE for value in box)))]
        yield _annotations.conversation("flickr_soundnet", name, "av_localisation", part, turns, LICENCE)


def _boxes(file: Path, problems: Problems) -> list[Box]:
    try:
        marks = ElementTree.parse(file).getroot().findall("./*/bbox")
        corners = [[float(child.text or "") for child in list(mark)[1:5]] for mark in marks]
        return [(left, top, right, bottom) for left, top, right, bottom in corners]
    except (ElementTree.ParseError, ValueError) as error:
        problems.add(f"{file}", f"no boxes can be read from it: {error}")
        return []


def consensus(boxes: Sequence[Box]) -> Box | None:
    """The least box around every place that lies in two boxes or more; None if there is no such place."""
    shared = [
        (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
        for index, one in enumerate(boxes)
        for other in boxes[index + 1 :]
    ]
    places = [box for box in shared if box[0] < box[2] and box[1] < box[3]]
    if not places:
        return None
    left, top, right, bottom = zip(*places, strict=True)
    return min(left), min(top), max(right), max(bottom)


def written(box: Sequence[float]) -> str:
    """A box of shares as text: "[0.403, 0.253, 0.600, 0.750]"."""
    return f"[{', '.join(f'{value:.3f}' for value in box)}]"
