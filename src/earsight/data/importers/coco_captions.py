"""COCO captions (Lin et al., ECCV 2014; Chen et al., 2015; cocodataset.org). Annotations CC-BY-4.0.

    ROOT/annotations/captions_train2014.json
        {"info", "licenses", "images": [{"id": 57870, "file_name": "COCO_train2014_000000057870.jpg", ...}, ...],
         "annotations": [{"image_id": 57870, "id": 787980, "caption": "A restaurant has ..."}, ...]}
    ROOT/train2014/COCO_train2014_000000057870.jpg

As annotations_trainval2014.zip and train2014.zip unpack; the same of 2017 with split="train2017". Splits: train2014,
val2014, train2017, val2017 ("train" and "val" mean 2014).

video-SALMONN trains on 5,000 samples of train2014 with spoken captions (section 4.3): those are in spokencoco. These
are the written ones of the same pictures.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
FOLDERS = {name: name for name in ("train2014", "val2014", "train2017", "val2017")}
SPLITS = FOLDERS | {"train": "train2014", "val": "val2014"}


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """A caption each, task "image_caption"."""
    folder = _annotations.choose(SPLITS, split, "coco_captions")
    file = root / "annotations" / f"captions_{folder}.json"
    book = _annotations.json_object(file, "COCO")
    names = {}
    for place, row in _annotations.objects(book.get("images"), f"{file}:images", problems):
        if _tables.fields(row, place, problems, id=int, file_name=str):
            names[row["id"]] = row["file_name"]
    for place, row in _annotations.objects(book.get("annotations"), f"{file}:annotations", problems):
        if not _tables.fields(row, place, problems, id=int, image_id=int, caption=str):
            continue
        if row["image_id"] not in names:
            problems.add(place, f"image {row['image_id']} is not among 'images'")
            continue
        part = {"type": "image", "path": f"{folder}/{names[row['image_id']]}"}
        turns = [("", row["caption"].strip())]
        yield _annotations.conversation("coco_captions", f"{row['id']}", "image_caption", part, turns, LICENCE)
