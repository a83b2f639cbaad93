"""Ego4D: narrated egocentric video (Grauman et al., CVPR 2022). Ego4D's licence agreement.

    ROOT/ego4d.json
        {"videos": [{"video_uid", "duration_sec", "split_em", "split_av", "split_fho", ...}, ...]}
    ROOT/v1/annotations/narration.json
        {VIDEO_UID: {"narration_pass_1": {"narrations": [{"timestamp_sec": 3.3, "timestamp_frame", "annotation_uid",
                                                          "narration_text": "#C C picks a bag"}, ...],
                                          "summaries": [{"start_sec", "end_sec", "summary_text", ...}, ...]},
                     "narration_pass_2": {...}}, ...}
    ROOT/v1/full_scale/VIDEO_UID.mp4

Files and fields as facebookresearch/Ego4d reads them, and so are the splits: a video is of test or val if any of its
split_em, split_fho, split_av says so, otherwise of train. A later release: version="v2".

Trained on by video-SALMONN (appendix A: 600 hours; single-sentence descriptions of short clips, concatenated and
refined by ChatGPT; "Describe the video in detail."). The refined text is not published, nor is how long its clips
are: here a video is cut every `clip_seconds` (under the 60 s that it trains on at most) and the answer joins the
narrations that fall within, of the pass that has more. "#C C" becomes "The camera wearer", "#O" is left out,
"#unsure" is "something".
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "Ego4D licence agreement"
SPLITS = {name: name for name in ("train", "val", "test")}


def records(
    root: Path, split: str, *, problems: Problems, version: str = "v1", clip_seconds: float = 30.0
) -> Iterator[Record]:
    """A clip each that has a narration, task "video_caption"."""
    wanted = _annotations.choose(SPLITS, split, "ego4d")
    durations = {}
    for place, row in _tables.json_array(_tables.there(root / "ego4d.json", "Ego4D"), problems, "videos"):
        if _tables.fields(row, place, problems, video_uid=str, duration_sec=(int, float)):
            said = {row.get(f"split_{part}") for part in ("em", "fho", "av")}
            if wanted == next((name for name in ("test", "val") if name in said), "train"):
                durations[row["video_uid"]] = float(row["duration_sec"])
    file = root / version / "annotations" / "narration.json"
    for uid, passes in _annotations.json_object(file, "Ego4D").items():
        if uid not in durations or not isinstance(passes, dict):
            continue
        for index, sentences in _clips(passes, f"{file}:{uid}", durations[uid], clip_seconds, problems).items():
            start, end = index * clip_seconds, min((index + 1) * clip_seconds, durations[uid])
            part = {"type": "video", "path": f"{version}/full_scale/{uid}.mp4", "start": start, "end": end}
            turns = [("", " ".join(sentences))]
            yield _annotations.conversation("ego4d", f"{uid}/{index}", "video_caption", part, turns, LICENCE)


def _clips(
    passes: Mapping[str, Any], place: str, duration: float, clip_seconds: float, problems: Problems
) -> dict[int, list[str]]:
    """The sentences of each clip, by its number."""
    told = []
    for name in ("narration_pass_1", "narration_pass_2"):
        given = passes.get(name)
        rows = given.get("narrations", []) if isinstance(given, dict) else []
        told.append(list(_annotations.objects(rows, f"{place}:{name}", problems)))
    found: dict[float, str] = {}
    for where, row in max(told, key=len):
        if not _tables.fields(row, where, problems, timestamp_sec=(int, float), narration_text=str):
            continue
        time, sentence = float(row["timestamp_sec"]), spoken(row["narration_text"])
        if not 0 <= time < duration or not sentence:
            problems.add(
                where, f"empty or outside the video: {row['narration_text']!r:.60} at {time:g} s of {duration:g} s"
            )
            continue
        found[time] = f"{found[time]} {sentence}" if time in found else sentence
    clips: dict[int, list[str]] = {}
    for time in sorted(found):
        clips.setdefault(int(time // clip_seconds), []).append(found[time])
    return clips


def spoken(narration: str) -> str:
    """A narration as a sentence, without its tags."""
    text = re.sub(r"#\s*C\s+C\b", "The camera wearer", narration, flags=re.IGNORECASE)
    text = re.sub(r"#\s*unsure\b", "something", text, flags=re.IGNORECASE)
    text = " ".join(re.sub(r"#\s*(?:summary|[CO])\b", " ", text, flags=re.IGNORECASE).split()).rstrip(" .")
    return f"{text[0].upper()}{text[1:]}." if text else ""
