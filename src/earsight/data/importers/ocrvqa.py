"""OCR-VQA: questions about 207,572 book covers (Mishra et al., ICDAR 2019; ocr-vqa.github.io). No licence is stated.

    ROOT/dataset.json
        {"761183272": {"imageURL": "http://ecx.images-amazon.com/images/I/61Y5cOdHJbL.jpg", "split": 1,
                       "questions": ["Who wrote this book?", ...], "answers": ["Sandra Boynton", ...],
                       "title", "authorName", "genre"}, ...}
    ROOT/images/761183272.jpg       named by its key, ending as its URL does

Fields, splits (1 train, 2 val, 3 test) and names of the images as mmpretrain's reader has them; LLaVA's download
script saves all as .jpg, hence ending=".jpg" for its images.

Trained on by video-SALMONN (appendix A: "Who wrote this book?").
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

SPLITS = {"train": 1, "val": 2, "test": 3}


def records(root: Path, split: str, *, problems: Problems, ending: str = "") -> Iterator[Record]:
    """A question each, task "ocr_qa"."""
    wanted = _annotations.choose(SPLITS, split, "ocrvqa")
    file = root / "dataset.json"
    for key, row in _annotations.json_object(file, "OCR-VQA").items():
        place = f"{file}:{key}"
        row = row if isinstance(row, dict) else {}
        if not _tables.fields(row, place, problems, split=int, imageURL=str, questions=list, answers=list):
            continue
        if row["split"] != wanted:
            continue
        if len(row["questions"]) != len(row["answers"]):
            problems.add(place, f"{len(row['questions'])} questions but {len(row['answers'])} answers")
            continue
        suffix = ending or Path(urlsplit(row["imageURL"]).path).suffix
        part = {"type": "image", "path": f"images/{key}{suffix}"}
        for number, (question, answer) in enumerate(zip(row["questions"], row["answers"], strict=True)):
            pair = {"question": question, "answer": answer}
            if _tables.fields(pair, f"{place}/{number}", problems, question=str, answer=str):
                yield _annotations.conversation("ocrvqa", f"{key}/q{number}", "ocr_qa", part, [(question, answer)])
