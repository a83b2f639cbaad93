"""GigaSpeech: English podcasts, audiobooks and YouTube, 10,000 hours (Chen et al., Interspeech 2021). Its own terms:
non-commercial research and education only.

    ROOT/GigaSpeech.json      {"audios": [{"path": "audio/podcast/P0000/POD0000000001.opus", "aid", ..., "segments": [
                                {"sid": "POD0000000001_S0000008", "begin_time": 159.0, "end_time": 167.52,
                                 "text_tn": "DOUGLAS MCGRAY IS GOING TO BE OUR GUIDE <COMMA>", "subsets": ["{XL}"]}]}]}
    ROOT/audio/...            long recordings; a record names its stretch

Fields as SpeechBrain's and other recipes read them and GigaST describes them. Split: XS, S, M, L, XL, DEV or TEST,
which a segment's "subsets" names in braces.

Text is upper case with four punctuation tags, which are left out as in its scoring (punctuation=True writes the marks).
Segments that are only <SIL>, <MUSIC>, <NOISE> or <OTHER> are no speech and are left out without report.

Trained on by SALMONN (section 4.2: M in pre-training, 200K utterances or 220 hours of it in instruction tuning).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "GigaSpeech terms (non-commercial research)"
MARKS = {"<COMMA>": ",", "<PERIOD>": ".", "<QUESTIONMARK>": "?", "<EXCLAMATIONPOINT>": "!"}
NO_SPEECH = {"<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"}


def records(root: Path, split: str, *, problems: Problems, punctuation: bool = False) -> Iterator[Record]:
    """A segment each, task "asr"."""
    file = _tables.there(root / "GigaSpeech.json", "GigaSpeech")
    for place, audio in _tables.json_array(file, problems, "audios"):
        if not _tables.fields(audio, place, problems, path=str, segments=list):
            continue
        for segment in audio["segments"]:
            made = _record(audio["path"], segment, f"{{{split}}}", punctuation, place, problems)
            if made:
                yield made


def _record(path: str, segment: Any, subset: str, punctuation: bool, place: str, problems: Problems) -> Record | None:
    if not isinstance(segment, dict):
        problems.add(place, f"a segment that is no object: {segment!r:.60}")
        return None
    if not _tables.fields(segment, place, problems, sid=str, text_tn=str, subsets=list):
        return None
    words = segment["text_tn"].split()
    if subset not in segment["subsets"] or NO_SPEECH.intersection(words):
        return None
    place = f"{place} ({segment['sid']})"
    stretch = _tables.seconds((segment.get("begin_time"), segment.get("end_time")), place, problems)
    text = " ".join(MARKS.get(word, word) for word in words if punctuation or word not in MARKS)
    for mark in MARKS.values():
        text = text.replace(f" {mark}", mark)
    if stretch is None or not text:
        return None
    part = {"type": "audio", "path": path, "start": stretch[0], "end": stretch[1]}
    return _samples.sample("gigaspeech", segment["sid"], "asr", part, text, LICENCE)
