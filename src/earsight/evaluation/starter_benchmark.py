"""The starter on held-out objects and recordings, beside blind baselines, with 95 % intervals.

    python -m earsight.evaluation.starter_benchmark [--weights DIR] [--split test]

Tasks: kind of the pictured object, kind of the sound, missing or silent sound reported as such. Baselines answer the
same questions about the same clips: text only (no sense), the wrong sense only, the training set's majority kind, and
the best that one and the same answer could do.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from earsight.data.collation import FeatureCollator
from earsight.data.questions import QUESTIONS, UNSEEN_QUESTIONS, Scene, answer
from earsight.data.scenes import Example
from earsight.data.starter_corpus import Corpus, Item, Split
from earsight.evaluation.intervals import wilson
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration

Answerer = Callable[[Sequence[Example]], list[str]]
TARGETS = {"picture kind": 0.80, "sound kind": 0.60, "missing sound reported": 0.95}


@dataclass(frozen=True)
class Score:
    task: str
    condition: str  # model, text only, sound only, picture only, majority, ...
    right: int
    n: int

    def row(self) -> dict[str, object]:
        low, high = wilson(self.right, self.n)
        share = self.right / self.n if self.n else 0.0
        numbers = {"score": round(share, 3), "low": round(low, 3), "high": round(high, 3)}
        return {"task": self.task, "condition": self.condition, "right": self.right, "n": self.n, **numbers}


def answerer(
    model: EarsightForConditionalGeneration, collator: FeatureCollator, batch_size: int = 16, max_new_tokens: int = 24
) -> Answerer:
    """Greedy generated answers, from features encoded beforehand."""
    tokenizer = collator.processor.tokenizer

    def answer_all(examples: Sequence[Example]) -> list[str]:
        replies: list[str] = []
        for start in range(0, len(examples), batch_size):
            batch = collator(examples[start : start + batch_size])
            ids = model.generate(**batch, max_new_tokens=max_new_tokens, do_sample=False)
            new = ids[:, batch["input_ids"].shape[1] :]
            replies += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
        return replies

    return answer_all


def picture_examples(pictures: Sequence[Item], question: str) -> list[Example]:
    """Each picture, as a still without sound, asked for its kind."""
    draw = random.Random(0)
    return [
        _example(Scene("present", "absent", item.kind, item.name), "see_kind", question, item, None, draw)
        for item in pictures
    ]


def sound_examples(sounds: Sequence[Item], question: str) -> list[Example]:
    draw = random.Random(0)
    return [
        _example(Scene("absent", "present", None, None, item.kind, item.name), "hear_kind", question, None, item, draw)
        for item in sounds
    ]


def paired_examples(pictures: Sequence[Item], sounds: Sequence[Item], task: str) -> list[Example]:
    """Pictures and unrelated sounds in one clip: the answer must come from the sense that was asked for."""
    draw = random.Random(1)
    items = pictures if task == "see_kind" else sounds
    examples = []
    for item in items:
        picture, sound = (
            (item, draw.choice(list(sounds))) if task == "see_kind" else (draw.choice(list(pictures)), item)
        )
        scene = Scene("present", "present", picture.kind, picture.name, sound.kind, sound.name)
        examples.append(_example(scene, task, QUESTIONS[task][0], picture, sound, draw, steps=4))
    return examples


def soundless_examples(pictures: Sequence[Item]) -> list[Example]:
    """Absent, silent and ignored sound, asked about in seen and unseen words."""
    draw = random.Random(2)
    words = [
        (task, question) for task in ("hear", "any_sound") for question in (*QUESTIONS[task], *UNSEEN_QUESTIONS[task])
    ]
    examples = []
    for index, item in enumerate(pictures):
        state = ("absent", "silent", "ignored")[index % 3]
        task, question = words[index % len(words)]
        scene = Scene("present", state, item.kind, item.name)
        examples.append(_example(scene, task, question, item, None, draw, steps=draw.choice((1, 3, 6))))
    return examples


def _example(
    scene: Scene,
    task: str,
    question: str,
    picture: Item | None,
    sound: Item | None,
    draw: random.Random,
    steps: int = 1,
) -> Example:
    pictures = (picture,) if picture else ()
    return Example(scene, task, question, answer(scene, task), pictures, (0,) * len(pictures), sound, 0, steps)


def without(example: Example, sense: str) -> Example:
    """The same question about the same clip with a sense taken away from the encoders; the prompt is unchanged."""
    return replace(example, picture=()) if sense == "picture" else replace(example, sound=None)


def score(task: str, condition: str, examples: Sequence[Example], replies: Sequence[str]) -> Score:
    """Exact match with the true sentence."""
    right = sum(reply == example.answer for example, reply in zip(examples, replies, strict=True))
    return Score(task, condition, right, len(examples))


def constants(task: str, examples: Sequence[Example], training: Sequence[Item]) -> list[Score]:
    """Always the kind most frequent in training; and the best that any one answer could do on these examples."""
    (usual, _), *_ = Counter(item.kind for item in training).most_common(1)
    counts = Counter(example.scene.picture_kind or example.scene.sound_kind for example in examples)
    found = {"majority": counts[usual], "best constant answer": max(counts.values())}
    return [Score(task, condition, right, len(examples)) for condition, right in found.items()]


def run(answer_all: Answerer, corpus: Corpus, split: Split) -> tuple[list[Score], list[dict]]:
    """All scores of a split, and every single reply."""
    pictures, sounds = corpus.of("picture", split), corpus.of("sound", split)
    seen = picture_examples(pictures, QUESTIONS["see_kind"][0])
    heard = sound_examples(sounds, QUESTIONS["hear_kind"][0])
    see_pairs, hear_pairs = (paired_examples(pictures, sounds, task) for task in ("see_kind", "hear_kind"))
    unseen_words = UNSEEN_QUESTIONS["see_kind"][0], UNSEEN_QUESTIONS["hear_kind"][0]
    groups = [
        ("picture kind", "model", seen),
        ("picture kind", "model, new wording", [replace(one, question=unseen_words[0]) for one in seen]),
        ("picture kind", "model, unrelated sound", see_pairs),
        ("picture kind", "sound only", [without(one, "picture") for one in see_pairs]),
        ("picture kind", "text only", [without(one, "picture") for one in seen]),
        ("sound kind", "model", heard),
        ("sound kind", "model, new wording", [replace(one, question=unseen_words[1]) for one in heard]),
        ("sound kind", "model, unrelated picture", hear_pairs),
        ("sound kind", "picture only", [without(one, "sound") for one in hear_pairs]),
        ("sound kind", "text only", [without(one, "sound") for one in heard]),
        ("missing sound reported", "model", soundless_examples(pictures)),
    ]
    scores, replies = [], []
    for task, condition, examples in groups:
        told = answer_all(examples)
        scores.append(score(task, condition, examples, told))
        replies += [_reply(task, condition, example, text) for example, text in zip(examples, told, strict=True)]
    scores += constants("picture kind", seen, corpus.of("picture", "train"))
    scores += constants("sound kind", heard, corpus.of("sound", "train"))
    return scores, replies


def _reply(task: str, condition: str, example: Example, text: str) -> dict:
    items = [item.id for item in (*example.picture, *([example.sound] if example.sound else []))]
    return {"task": task, "condition": condition, "items": items, "expected": example.answer, "answer": text}


def table(scores: Sequence[Score]) -> str:
    """Markdown."""
    lines = ["| task | condition | right of | score | 95 % interval | target |", "|---|---|---|---|---|---|"]
    for row in (one.row() for one in sorted(scores, key=lambda one: list(TARGETS).index(one.task))):
        target = f"{TARGETS[str(row['task'])]:.2f}" if row["condition"] == "model" else ""
        interval = f"{row['low']:.2f} to {row['high']:.2f}"
        cells = (
            row["task"],
            row["condition"],
            f"{row['right']} of {row['n']}",
            f"{row['score']:.3f}",
            interval,
            target,
        )
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    from earsight.checkpoints.build import build_processor, build_untrained
    from earsight.checkpoints.parts import fetch
    from earsight.checkpoints.starter import TRAINED
    from earsight.checkpoints.trained_weights import add_lora, load_trained
    from earsight.data.starter_corpus import build
    from earsight.model.lora import merge
    from earsight.recipes.starter import RECIPE, report, view_features

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=TRAINED)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--corpus-from", type=Path)
    parser.add_argument("--out", type=Path, help="folder for scores.json and replies.jsonl")
    given = parser.parse_args()
    parts = fetch(progress=report)
    model, processor = build_untrained(parts), build_processor(parts)
    corpus = build(source_dir=given.corpus_from)
    features = view_features(model, corpus, RECIPE, given.split, augmented=False)
    add_lora(model)
    load_trained(model, given.weights)
    merge(model)
    torch.manual_seed(0)
    scores, replies = run(answerer(model, FeatureCollator(processor, features, answers=False)), corpus, given.split)
    print(table(scores))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        record = {"split": given.split, "corpus": corpus.hash, "scores": [one.row() for one in scores]}
        (given.out / "scores.json").write_text(json.dumps(record, indent=1))
        (given.out / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))


if __name__ == "__main__":
    main()
