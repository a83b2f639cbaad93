"""How2, the 300 hours: instructional videos with English subtitles by sentence (Sanabria et al., 2018). Annotation
CC-BY-SA-4.0; videos under YouTube's licence.

    ROOT/data/train/segments        fyI1Ev5m1w4_0_1 fyI1Ev5m1w4 0.72 10.2   segment, video, begin and end in seconds
    ROOT/data/train/text.id.en      fyI1Ev5m1w4_0_1 Hi, my name is ...      segment and its text
    ROOT/subtitles/fyI1Ev5m1w4.mp4

ROOT is how2-300h-v1 of the pre-packaged download, or reproduce/300h of srvk/how2-dataset, whose install.sh -v puts
videos beside the subtitles; otherwise videos="videos/{video}.webm". Splits: train, val, dev5. A segment may join
several sentences (_0_1). Files and columns as in that repository and ESPnet's recipe.

Trained on by video-SALMONN (section 4.3: the 300-hour training set, audio-visual speech recognition).
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-SA-4.0"


def records(root: Path, split: str, *, problems: Problems, videos: str = "subtitles/{video}.mp4") -> Iterator[Record]:
    """A segment each, task "av_asr"; its sound must be there."""
    folder = root / "data" / split
    texts = {}
    for _, line in _tables.lines(_tables.there(folder / "text.id.en", "How2"), problems):
        name, _, text = line.partition(" ")
        texts[name] = text.strip()
    for place, line in _tables.lines(_tables.there(folder / "segments", "How2"), problems):
        cells = line.split()
        if len(cells) != 4 or not texts.get(cells[0]):
            reason = "no text of it" if len(cells) == 4 else "expected segment, video, begin and end"
            problems.add(place, f"{reason}: {line!r:.80}")
            continue
        stretch = _tables.seconds(cells[2:], place, problems)
        if stretch is None:
            continue
        path = videos.format(video=cells[1])
        part = {"type": "video", "path": path, "start": stretch[0], "end": stretch[1], "audio": "require"}
        yield _samples.sample("how2", cells[0], "av_asr", part, texts[cells[0]], LICENCE)
