"""MUSIC: solos and duets on YouTube (Zhao et al., ECCV 2018 and ICCV 2019). No licence is stated.

    split     ROOT/
    solo      MUSIC_solo_videos.json      {"version": 1.0, "videos": {"acoustic_guitar": ["M3dekVSwNjY", ...], ...}}
    solo21    MUSIC21_solo_videos.json    21 instruments
    duet      MUSIC_duet_videos.json      {"acoustic_guitar violin": [...]}
    ROOT/videos/acoustic_guitar/M3dekVSwNjY.mp4

Lists from roudimit/MUSIC_dataset. No videos are published; folders by instrument as Sound-of-Pixels keeps its own. An
entry is a whole video of some minutes.

Dolphin names MUSIC for its question answering (section 4.1) and cites MUSIC-AVQA with it: those questions are in
music_avqa.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations
from earsight.data.problems import Problems
from earsight.data.records import Record
from earsight.errors import EarsightError

FILES = {
    "solo": "MUSIC_solo_videos.json",
    "solo21": "MUSIC21_solo_videos.json",
    "duet": "MUSIC_duet_videos.json",
}


def records(
    root: Path, split: str, *, problems: Problems, videos: str = "videos/{instruments}/{youtube_id}.mp4"
) -> Iterator[Record]:
    """A video each, task "instruments": "acoustic guitar and violin"."""
    file = root / _annotations.choose(FILES, split, "music")
    by_instruments = _annotations.json_object(file, "MUSIC").get("videos")
    if not isinstance(by_instruments, dict):
        raise EarsightError(f"{file}: no object 'videos'; expected MUSIC's published layout")
    for instruments, names in by_instruments.items():
        answer = " and ".join(name.replace("_", " ") for name in instruments.split())
        for number, name in enumerate(names if isinstance(names, list) else [names]):
            if not isinstance(name, str) or not name.strip():
                problems.add(f"{file}:{instruments}[{number}]", f"not a YouTube id: {name!r:.60}")
                continue
            path = videos.format(instruments=instruments, youtube_id=name)
            part = {"type": "video", "path": path, "audio": "require"}
            yield _annotations.conversation("music", f"{split}/{name}", "instruments", part, [("", answer)])
