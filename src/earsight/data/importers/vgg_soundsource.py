"""VGG-Sound Source (VGG-SS): boxes around what sounds in 5,158 clips of VGGSound (Chen et al., CVPR 2021).
Apache-2.0.

    ROOT/vggss.json
        [{"file": "zpWuikVorYg_000032", "class": "elk bugling", "bbox": [[0.403, 0.253, 0.6, 0.75], ...]}, ...]
    ROOT/frames/zpWuikVorYg_000032.jpg, ROOT/audio/zpWuikVorYg_000032.wav

The annotation in metadata/ of hche11/Localizing-Visual-Sounds-the-Hard-Way, folders from its README; boxes are left,
top, right, bottom as shares of width and height. All of it is split "test" there, and Dolphin trains on it. The
published file has 18 boxes that are none (a corner at -3e16, or no extent): their entries are reported, and left out
where boxes are asked.

Trained on by Dolphin (section 4.1: audio-visual source localisation; how it writes a place is not published) and
asked by video-SALMONN's benchmark ("What is the source of the sound?", 850 clips). Tasks: av_localisation (the boxes)
and av_source (the class).
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _samples, _tables, flickr_soundnet
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "Apache-2.0"
FILES = {"test": "vggss.json"}
TASKS = ("av_localisation", "av_source")


def records(root: Path, split: str, *, problems: Problems, task: str = "av_localisation") -> Iterator[Record]:
    """A frame with its sound each."""
    _samples.one_of(task, TASKS, "vgg_soundsource")
    file = _tables.there(root / _annotations.choose(FILES, split, "vgg_soundsource"), "VGG-SS")
    for place, row in _tables.json_array(file, problems):
        if not _tables.fields(row, place, problems, **{"file": str, "class": str, "bbox": list}):
            continue
        answer, name = row["class"], row["file"]
        if task == "av_localisation":
            boxes = [box for box in row["bbox"] if _is_box(box)]
            if len(boxes) < len(row["bbox"]) or not boxes:  # what is left would not be the whole answer
                spoilt = len(row["bbox"]) - len(boxes)
                problems.add(place, f"boxes that are none: {spoilt} of {len(row['bbox'])}, {name}")
                continue
            answer = ", ".join(flickr_soundnet.written(box) for box in boxes)
        part = {"type": "image", "path": f"frames/{name}.jpg", "sound": f"audio/{name}.wav", "audio": "require"}
        yield _annotations.conversation("vgg_soundsource", name, task, part, [("", answer)], LICENCE)


def _is_box(box: object) -> bool:
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
        return False
    left, top, right, bottom = box
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
