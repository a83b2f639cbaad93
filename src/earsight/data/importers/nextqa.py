"""NExT-QA: questions about why, how and when in everyday videos (Xiao et al., CVPR 2021). Annotations MIT.

    form      ROOT/train.csv, val.csv, test.csv
    open      video,frame_count,width,height,question,answer,qid,type                           answer: words
    choice    video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4            answer: 0 to 4
    ROOT/map_vid_vidorID.json           {"4010069381": "1001/4010069381", ...}
    ROOT/NExTVideo/1001/4010069381.mp4

ROOT is dataset/nextqa of doc-doc/NExT-OE (open) or doc-doc/NExT-QA (choice; the mapping is only there), with the
archive NExTVideo beside; header, mapping and folder as these repositories and VideoMind's reader have them. A file of
the other form is refused.

Trained on by video-SALMONN (section 4.3, among the visual tasks, so its sound is ignored unless audio="auto"; choices
are unseen in training and begin "Choose one from:", appendix A).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "MIT"
CHOICES = ("a0", "a1", "a2", "a3", "a4")
FORMS = {"open": ("video_qa", ()), "choice": ("video_choice", CHOICES)}


def records(
    root: Path, split: str, *, problems: Problems, form: str = "open", audio: str = "ignore"
) -> Iterator[Record]:
    """A question each."""
    task, choices = _annotations.choose(FORMS, form, "nextqa", "form")
    file = _tables.there(root / f"{split}.csv", "NExT-QA")
    videos = _annotations.json_object(root / "map_vid_vidorID.json", "NExT-QA")
    columns = ("video", "question", "answer", "qid", "type", *choices)
    seen: Counter[str] = Counter()
    for place, row in _tables.table(file, problems, columns):
        answer, question = row["answer"], row["question"]
        if form == "choice":
            if answer not in ("0", "1", "2", "3", "4"):
                problems.add(place, f"the answer is not the number of a choice: {answer!r}")
                continue
            named = [f"{letter}. {row[column]}" for letter, column in zip("ABCDE", choices, strict=True)]
            question, answer = f"{question}? Choose one from: {', '.join(named)}", named[int(answer)]
        if row["video"] not in videos:
            problems.add(place, f"video {row['video']} is not in map_vid_vidorID.json")
            continue
        part = {"type": "video", "path": f"NExTVideo/{videos[row['video']]}.mp4", "audio": audio}
        name = f"{row['video']}/{row['qid']}"
        seen[name] += 1  # three numbers are given twice
        name += f"/{seen[name]}" if seen[name] > 1 else ""
        yield _annotations.conversation("nextqa", name, task, part, [(question, answer)], LICENCE, type=row["type"])
