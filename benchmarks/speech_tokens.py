"""What the starter's speech tokens write by themselves, without the language model, and which words they miss.

    python -m benchmarks.speech_tokens [--model MODEL] [--share 1]

Validation sentences, each in one of the trained voices, and all in the one that was never trained on; the nearest token
at each tenth of a second. Words are told apart by how often the training sentences have them. Test sentences stay
unheard. The corpus has to be built (`earsight corpus build starter`).
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import jiwer
import torch

import earsight
from earsight.checkpoints.parts import cache_root
from earsight.data.records import load
from earsight.data.starter.records import renderer_of
from earsight.data.starter.rendering import Renderer, address
from earsight.data.starter.sentences import sentences, side
from earsight.data.starter.voices import HELD_OUT_VOICES, TRAINED_VOICES
from earsight.errors import EarsightError
from earsight.model.media_inputs import lay_out, media_tensors
from earsight.recipes import starter
from earsight.training.alignment import Words
from earsight.training.building import data_root

BATCH = 32
BANDS = (0, 1, 5, 20, 100, 1000)


@torch.no_grad()
def written(assistant: Any, words: Words, renderer: Renderer, spoken: Sequence[tuple[str, str]]) -> Iterator[str]:
    """(voice, sentence) pairs -> what the speech tokens make of each."""
    description, sampling = assistant.processor.description, assistant.processor.sampling()
    for first in range(0, len(spoken), BATCH):
        clips = [renderer.clip(address("speech", "val", *one), sampling) for one in spoken[first : first + BATCH]]
        laid = [lay_out(clip, description) for clip in clips]
        yield from words.transcripts(media_tensors(laid, description))


def by_frequency(said: Sequence[str], heard: Sequence[str], met: Counter[str]) -> dict[str, tuple[int, int]]:
    """How many words, by how often the training sentences have them, and how many of these were missed."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    aligned = jiwer.process_words(list(said), list(heard))
    for words, chunks in zip(aligned.references, aligned.alignments, strict=True):
        for chunk in chunks:
            for word in words[chunk.ref_start_idx : chunk.ref_end_idx]:
                band = counts[_band(met[word])]
                band[0] += 1
                band[1] += chunk.type != "equal"
    return {name: (counts[name][0], counts[name][1]) for name in map(_band, BANDS) if name in counts}


def _band(times: int) -> str:
    place = max(at for at, least in enumerate(BANDS) if times >= least)
    if place + 1 == len(BANDS):
        return f"{BANDS[place]} and more"
    least, most = BANDS[place], BANDS[place + 1] - 1
    return str(least) if least == most else f"{least}-{most}"


def measured(model: str, share: float) -> list[str]:
    """Lines of Markdown."""
    assistant = earsight.load(model, dtype="float32")
    root, cache = data_root(starter.RECIPE), cache_root()
    records = [one for name in ("speech", "word_lists") for one in load(root / f"{name}.jsonl")]
    words = Words(
        assistant.model, assistant.processor.tokenizer, [one.extra["words"] for one in records], only_said=True
    )
    every = sentences(cache)
    met = Counter(word for one in every if side(one) == "train" for word in one.split())
    held_out = [one for one in every if side(one) == "val"]
    held_out = held_out[: round(share * len(held_out))]
    renderer = renderer_of(root)
    assert renderer is not None, root
    lines = ["| voices | sentences | word error rate | character error rate |", "|---|---|---|---|"]
    trained = [(TRAINED_VOICES[at % len(TRAINED_VOICES)], one) for at, one in enumerate(held_out)]
    unseen = [(HELD_OUT_VOICES[0], one) for one in held_out]
    heard = list(written(assistant, words, renderer, trained))
    others = list(written(assistant, words, renderer, unseen))
    for name, found in (("the trained ones in turn", heard), ("one that was never trained on", others)):
        rates = f"{jiwer.wer(held_out, found):.3f} | {jiwer.cer(held_out, found):.3f}"
        lines.append(f"| {name} | {len(held_out)} | {rates} |")
    lines += ["", "| times a word is in the training sentences | words | missed |", "|---|---|---|"]
    for band, (n, missed) in by_frequency(held_out, heard, met).items():
        lines.append(f"| {band} | {n} | {missed / n:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--share", type=float, default=1.0, help="of the sentences")
    given = parser.parse_args()
    try:
        print("\n".join(measured(given.model, given.share)))
    except EarsightError as error:
        print(f"not measured: {error}")


if __name__ == "__main__":
    main()
