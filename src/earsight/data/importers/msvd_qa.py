"""MSVD-QA: questions made of MSVD's descriptions, 1,970 silent clips (Xu et al., ACM MM 2017). No licence is stated.

    ROOT/train_qa.json, val_qa.json, test_qa.json
        [{"question": "what is ...", "answer": "walk", "id": 0, "video_id": 1}, ...]
    ROOT/youtube_mapping.txt                  -4wsuPCjDBc_5_15 vid1
    ROOT/YouTubeClips/-4wsuPCjDBc_5_15.avi

The questions of xudejing/video-question-answering and, from MSVD's own YouTubeClips.tar, the clips; fields as
just-ask reads them, the mapping as it and other readers of MSVD split it. Where the clips were renamed, as in the
authors' code: videos="video/{number}.avi" with number "vid1".

Trained on by video-SALMONN (appendix A: "In the video, what is the man with long hair playing?").
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

FILES = {"train": "train_qa.json", "val": "val_qa.json", "test": "test_qa.json"}


def records(
    root: Path, split: str, *, problems: Problems, videos: str = "YouTubeClips/{video}.avi"
) -> Iterator[Record]:
    """A question each, task "video_qa"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "msvd_qa"), "MSVD-QA")
    names = {}
    for place, line in _tables.lines(_tables.there(root / "youtube_mapping.txt", "MSVD-QA"), problems):
        if found := _annotations.cells(line, " ", 2, place, problems):
            names[found[1]] = found[0]
    for place, row in _tables.json_array(file, problems):
        if not _tables.fields(row, place, problems, question=str, answer=str, id=int, video_id=int):
            continue
        number = f"vid{row['video_id']}"
        if number not in names:
            problems.add(place, f"{number} is not in youtube_mapping.txt")
            continue
        path = videos.format(video=names[number], number=number)
        part = {"type": "video", "path": path, "audio": "ignore"}
        turns = [(row["question"], row["answer"])]
        yield _annotations.conversation("msvd_qa", str(row["id"]), "video_qa", part, turns)
