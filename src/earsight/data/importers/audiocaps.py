"""AudioCaps: captions by hand for 50K ten-second AudioSet clips (Kim et al., NAACL 2019). Free for academic purposes
only.

    ROOT/dataset/train.csv, val.csv, test.csv       audiocap_id,youtube_id,start_time,caption
    ROOT/train/r1nicOVtvkQ_130.wav                  not published: ten seconds cut from YouTube at start_time

Tables as in the repository cdjkim/audiocaps; the sounds' names, as most of its downloaders write them, are an option
with the columns and {split} in it. Where whole videos' sounds are kept, audio="sounds/{youtube_id}.wav" and
whole=True: the record then names its stretch. val and test have five captions a clip, each is a record.

Trained on by SALMONN (section 4.2: audio_caption, 48K in table 1; audio_qa) and video-SALMONN (section 4.3:
audio_caption). Questions: see _samples; their id is the audiocap_id.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "academic use only"
COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
CLIP_SECONDS = 10.0


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "audio_caption",
    audio: str = "{split}/{youtube_id}_{start_time}.wav",
    whole: bool = False,
    questions: Path | str | None = None,
) -> Iterator[Record]:
    """A caption each, or a question each."""
    _samples.one_of(task, ("audio_caption", "audio_qa"), "audiocaps")
    file = _tables.there(root / "dataset" / f"{split}.csv", "AudioCaps")
    parts = {}
    for place, row in _tables.table(file, problems, COLUMNS):
        part: dict[str, Any] = {"type": "audio", "path": audio.format(split=split, **row)}
        if whole:
            start = _number(row["start_time"])
            stretch = _tables.seconds((start, start + CLIP_SECONDS), place, problems)
            if stretch is None:
                continue
            part |= {"start": stretch[0], "end": stretch[1]}
        name = row["audiocap_id"]
        if task == "audio_caption":
            yield _samples.sample("audiocaps", name, task, part, row["caption"].strip(), LICENCE)
        else:
            parts[name] = part
    if task == "audio_qa":
        yield from _samples.asked("audiocaps", task, parts, questions, LICENCE, problems)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
