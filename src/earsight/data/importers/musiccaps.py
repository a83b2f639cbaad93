"""MusicCaps: captions by musicians for 5.5K ten-second AudioSet clips (Agostinelli et al., 2023). CC-BY-SA-4.0.

    ROOT/musiccaps-public.csv       ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,
                                    is_balanced_subset,is_audioset_eval
    ROOT/audios/-0Gj8-vB1q4.wav     not published: ten seconds cut from YouTube at start_s

Table as on Kaggle and Hugging Face (google/MusicCaps); the sounds' names are an option with the columns in it. Where
whole videos' sounds are kept, whole=True: the record then names its stretch. Splits: "train" is what is not
AudioSet's evaluation part (2,663 clips), "test" what is (2,858); "all".

Trained on by SALMONN (table 1: music_caption, 3K samples, which is that train part; its section names no split).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-SA-4.0"
COLUMNS = ("ytid", "start_s", "end_s", "caption", "is_audioset_eval")
SPLITS = {"train": ("False",), "test": ("True",), "all": ("False", "True")}


def records(
    root: Path, split: str, *, problems: Problems, audio: str = "audios/{ytid}.wav", whole: bool = False
) -> Iterator[Record]:
    """A clip each, task "music_caption"."""
    _samples.one_of(split, tuple(SPLITS), "musiccaps")
    file = _tables.there(root / "musiccaps-public.csv", "MusicCaps")
    for place, row in _tables.table(file, problems, COLUMNS):
        if row["is_audioset_eval"] not in SPLITS["all"]:
            problems.add(place, f"is_audioset_eval is neither True nor False: {row['is_audioset_eval']!r}")
            continue
        stretch = _tables.seconds((row["start_s"], row["end_s"]), place, problems)
        if stretch is None or row["is_audioset_eval"] not in SPLITS[split]:
            continue
        part: dict[str, Any] = {"type": "audio", "path": audio.format(**row)}
        if whole:
            part |= {"start": stretch[0], "end": stretch[1]}
        aspects = row.get("aspect_list", "")
        caption = row["caption"].strip()
        yield _samples.sample("musiccaps", row["ytid"], "music_caption", part, caption, LICENCE, aspects=aspects)
