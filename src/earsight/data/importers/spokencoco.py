"""SpokenCOCO: COCO's captions read aloud, 742 hours (Hsu et al., ACL 2021). Neither archive nor readers
state a licence for the sound; the images are under Flickr's.

    ROOT/SpokenCOCO/SpokenCOCO_train.json, SpokenCOCO_val.json
        {"data": [{"image": "train2014/COCO_train2014_000000325114.jpg", "captions": [
            {"text": "A URINAL IN A PUBLIC RESTROOM ...", "speaker": "m07150...", "uttid": "m07150..._325114_629297",
             "wav": "wavs/train/0/m07150..._325114_629297.wav"}]}]}
    ROOT/SpokenCOCO/wavs/..., ROOT/train2014/..., ROOT/val2014/...

SpokenCOCO.tar.gz and COCO 2014's images unpacked in one folder; fields as google-research's MSEB and other readers
take them. Splits: train, val (the captioning split: "train" also holds images of val2014; images="train2014" leaves
these out).

Trained on by video-SALMONN (section 4.3: 5,000 samples of train2014 with spoken captions; section 4.1:
spoken_caption_matching, does the spoken caption fit the image). Its code draws Yes or No evenly; a No takes a spoken
caption of another image, drawn here by `seed` and the caption's name. Other tasks: image_caption (the text) and asr
(the spoken caption).
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = ""
TASKS = ("spoken_caption_matching", "image_caption", "asr")


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "spoken_caption_matching",
    images: str = "",
    seed: int = 0,
) -> Iterator[Record]:
    """A spoken caption each."""
    _samples.one_of(task, TASKS, "spokencoco")
    file = _tables.there(root / "SpokenCOCO" / f"SpokenCOCO_{split}.json", "SpokenCOCO")
    found = list(_captions(file, images, problems))
    several = len({image for image, _ in found}) > 1
    for image, caption in found:
        picture, spoken = {"type": "image", "path": image}, f"SpokenCOCO/{caption['wav']}"
        name, text = caption["uttid"], caption["text"].strip()
        if task == "image_caption":
            yield _samples.sample("spokencoco", name, task, picture, text, LICENCE)
        elif task == "asr":
            yield _samples.sample("spokencoco", name, task, {"type": "audio", "path": spoken}, text, LICENCE)
        else:
            draw = random.Random(f"{seed}/{name}")
            fits = not several or draw.random() < 0.5
            foreign = (image, caption)
            while not fits and foreign[0] == image:
                foreign = draw.choice(found)
            heard = spoken if fits else f"SpokenCOCO/{foreign[1]['wav']}"
            part = picture | {"sound": heard, "audio": "require"}
            yield _samples.sample("spokencoco", name, task, part, "Yes" if fits else "No", LICENCE)


def _captions(file: Path, images: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, row in _tables.json_array(file, problems, "data"):
        if not _tables.fields(row, place, problems, image=str, captions=list):
            continue
        if images and not row["image"].startswith(f"{images}/"):
            continue
        for caption in row["captions"]:
            usable = caption if isinstance(caption, dict) else {}
            if _tables.fields(usable, place, problems, uttid=str, wav=str, text=str):
                yield row["image"], caption
