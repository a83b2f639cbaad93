"""Million Song Dataset, in the two ways that give it words.

1. What SALMONN trained on (table 1 and its footnote 5: music_qa, 48K samples, 400 hours): Kaggle's "Million Song
   Dataset + Spotify + Last.fm", 50.7K tracks with tags. Its questions, written by GPT-3.5 from the tags, are not
   published.

       ROOT/Music Info.csv      track_id,name,artist,spotify_preview_url,spotify_id,tags,genre,year,...
       ROOT/MP3-Example/Blues/Blues-TRACOHF128F1498509.mp3    some; of the others the record has the preview's URL

   Chosen by giving `questions` (see _samples; their id is the track_id). No split is published: the split is "all".

2. LP-MusicCaps-MSD (Doh et al., 2023; music_caption): captions by GPT-3.5 for half a million tracks. Not what SALMONN
   trained on, but the published words for such tracks. Its sounds are 7digital's previews, which are not published.

       ROOT/data/train-00000-of-00002-557f11f5f8c72ffa.parquet      track_id, title, artist_name, release, year, tag,
                                                                    caption_writing, caption_summary, ..., path
       ROOT/audio/3/6/36122424.clip.mp3                             what `path` says

   Chosen where no questions are given; splits train, valid, test, "+" between several; `caption` names the column's
   end. Of "attribute_prediction" its card says that it is not recommended. Parquet needs pyarrow.

Columns as readers of the Kaggle set use them, and as the card of seungheondoh/LP-MusicCaps-MSD lists them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record, read
from earsight.errors import EarsightError

KAGGLE_LICENCE = ""  # none found; the sounds are Spotify's previews
CAPTIONS_LICENCE = ""  # its sister sets, LP-MusicCaps-MTT and -MC, say MIT; of this one no statement was found
CAPTIONS = ("writing", "summary", "paraphrase", "attribute_prediction")


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    questions: Path | str | None = None,
    caption: str = "writing",
    audio: str = "audio/{path}",
) -> Iterator[Record]:
    """A question each, or a caption each."""
    if questions is None:
        yield from _captioned(root, split, _samples.one_of(caption, CAPTIONS, "millionsong"), audio, problems)
        return
    file = _tables.there(root / "Music Info.csv", "the Kaggle set")
    kept = {one.stem.rpartition("-")[2]: one.relative_to(root).as_posix() for one in root.glob("MP3-Example/*/*.mp3")}
    rows = _tables.table(file, problems, ("track_id", "spotify_preview_url"))
    parts = {
        row["track_id"]: {"type": "audio", "path": kept.get(row["track_id"], row["spotify_preview_url"])}
        for _, row in rows
    }
    yield from _samples.asked("millionsong", "music_qa", parts, questions, KAGGLE_LICENCE, problems)


def _captioned(root: Path, split: str, caption: str, audio: str, problems: Problems) -> Iterator[Record]:
    column = f"caption_{caption}"
    for place, row in _rows(root, split):
        if _tables.fields(row, place, problems, track_id=str, path=str) and _tables.fields(
            row, place, problems, **{column: str}
        ):
            part = {"type": "audio", "path": audio.format(path=row["path"])}
            tags = list(row.get("tag") or ())
            name, answer = row["track_id"], row[column].strip()
            yield _samples.sample("millionsong", name, "music_caption", part, answer, CAPTIONS_LICENCE, tags=tags)


def _rows(root: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in split.split("+"):
        files = sorted((root / "data").glob(f"{part}-*.parquet"))
        if not files:
            raise EarsightError(f"{root / 'data' / part}-*.parquet: not there; expected LP-MusicCaps-MSD's layout")
        for file in files:
            yield from read(file)
