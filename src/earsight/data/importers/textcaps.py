"""TextCaps: captions that need a picture's text to be read (Sidorov et al., ECCV 2020; textvqa.org/textcaps).
CC-BY-4.0.

    ROOT/TextCaps_0.1_train.json, TextCaps_0.1_val.json
        {"data": [{"image_id": "1f6e0e...", "image_name", "image_path": "train/1f6e0e....jpg",
                   "caption_str": "a sign ...", "reference_strs": [...], "image_classes", "flickr_original_url",
                   "set_name", ...}, ...]}
    ROOT/train_images/1f6e0e....jpg       TextVQA's train_val_images.zip: those of val as well

Files and fields as big_vision, pix2struct and LAVIS read them. An entry is one caption; a picture has about five. The
test file has no captions.

Trained on by video-SALMONN (appendix A: 80k samples drawn at random, hence the recipe's limit; "Describe the
image.").
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
FILES = {"train": "TextCaps_0.1_train.json", "val": "TextCaps_0.1_val.json"}


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """A caption each, task "text_caption"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "textcaps"), "TextCaps")
    seen: Counter[str] = Counter()
    for place, row in _tables.json_array(file, problems, "data"):
        if not _tables.fields(row, place, problems, image_id=str, caption_str=str):
            continue
        image = row["image_id"]
        part = {"type": "image", "path": f"train_images/{image}.jpg"}
        turns = [("", row["caption_str"].strip())]
        yield _annotations.conversation("textcaps", f"{image}/{seen[image]}", "text_caption", part, turns, LICENCE)
        seen[image] += 1
