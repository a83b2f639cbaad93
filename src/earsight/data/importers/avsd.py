"""AVSD: ten questions and answers about a video's picture and sound (Alamri et al., CVPR 2019; DSTC7 and 8). MIT.

    ROOT/train_set4DSTC7-AVSD.json, valid_set4DSTC7-AVSD.json, test_set4DSTC7-AVSD.json
        {"dialogs": [{"image_id": "YSE1G", "caption": "...", "summary": "...",
                      "dialog": [{"question": "is there only one person ?", "answer": "there is ..."}, ...]}, ...]}
    ROOT/Charades_v1_480/YSE1G.mp4

Files as the organisers' README names them, fields as LAVIS reads them; the videos are Charades'. DSTC8 trains on the
same file. In the test file the last answer is "__UNDISCLOSED__": such a dialogue is reported.

Trained on by video-SALMONN (section 4.3, the training set; "And then what happened?"). Caption and summary, which
tell what the video shows, are kept apart and not given to the model.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "MIT"
FILES = {
    split: f"{name}_set4DSTC7-AVSD.json"
    for split, name in (("train", "train"), ("valid", "valid"), ("val", "valid"), ("test", "test"))
}


def records(
    root: Path, split: str, *, problems: Problems, videos: str = "Charades_v1_480/{video}.mp4"
) -> Iterator[Record]:
    """A dialogue each, task "av_dialogue"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "avsd"), "AVSD")
    for number, (place, row) in enumerate(_tables.json_array(file, problems, "dialogs")):
        if not _tables.fields(row, place, problems, image_id=str, dialog=list):
            continue
        told = [one if isinstance(one, dict) else {} for one in row["dialog"]]
        if not told:
            problems.add(place, "'dialog' is empty")
        elif any(one.get("answer") == "__UNDISCLOSED__" for one in told):
            problems.add(place, f"an answer is not disclosed: {row['image_id']}")
        elif all(_tables.fields(one, place, problems, question=str, answer=str) for one in told):
            part = {"type": "video", "path": videos.format(video=row["image_id"])}
            turns = [(one["question"].strip(), one["answer"].strip()) for one in told]
            name, kept = f"{split}/{number:05d}", {"caption": row.get("caption"), "summary": row.get("summary")}
            yield _annotations.conversation("avsd", name, "av_dialogue", part, turns, LICENCE, **kept)
