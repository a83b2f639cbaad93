"""LLaVA's pictures and conversations (Liu et al., NeurIPS 2023; 1.5: 2024). Annotations by GPT-4 and GPT-3.5 under
OpenAI's terms; the repository names no further licence for them.

    split   ROOT/                          ROOT/images of "image"
    150k    llava_instruct_150k.json       train2017/000000033471.jpg       COCO
    80k     llava_instruct_80k.json        train2017/...
    665k    llava_v1_5_mix665k.json        coco/train2017/..., gqa/images/..., ocr_vqa/images/..., textvqa/..., vg/...
    595k    chat.json                      images/GCC_train_000000000.jpg   CC-3M, captions to align with
    558k    blip_laion_cc_sbu_558k.json    images/00453/004539375.jpg

Each file is an array of {"id", "image", "conversations": [{"from": "human", "value": "<image>\\n..."}, {"from":
"gpt", ...}]}; 665k's text-only conversations have no "image". File names from docs/Data.md and README.md of
haotian-liu/LLaVA, fields from its training code and that of RupertLuo/Valley; another folder of images: images="...".

Trained on by video-SALMONN (appendix A: 150k), Audio-Visual LLM (section 4.1: "650k image data", hence 665k) and
Dolphin (section 5.1: LLaVA to pre-train, LLaVA_instruct to tune; which files is not said).
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

FILES = {
    "150k": ("llava_instruct_150k.json", "train2017", "image_conversation"),
    "80k": ("llava_instruct_80k.json", "train2017", "image_conversation"),
    "665k": ("llava_v1_5_mix665k.json", "", "image_conversation"),
    "595k": ("chat.json", "images", "image_caption"),
    "558k": ("blip_laion_cc_sbu_558k.json", "images", "image_caption"),
}


def records(root: Path, split: str, *, problems: Problems, images: str | None = None) -> Iterator[Record]:
    """A conversation each, of source "llava150k" and so on."""
    name, folder, task = _annotations.choose(FILES, split, "llava")
    folder = folder if images is None else images
    file = _tables.there(root / name, "LLaVA")
    for number, (place, row) in enumerate(_tables.json_array(file, problems)):
        turns = _annotations.llava_turns(row, place, problems)
        if turns is None or "image" in row and not _tables.fields(row, place, problems, image=str):
            continue
        part = {"type": "image", "path": (Path(folder) / row["image"]).as_posix()} if "image" in row else None
        # Ids repeat: a picture has a conversation, a description and a piece of reasoning.
        yield _annotations.conversation(f"llava{split}", f"{number:06d}", task, part, turns, published_id=row.get("id"))
