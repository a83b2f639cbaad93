"""The perception path at published sizes: encode and connect, beside the bare encoders on the same tensors.

    python -m benchmarks.perception            one clip at a time, the picture on 10 s only
    python -m benchmarks.perception --more     also SALMONN in eights and the picture on 30 s
    python -m benchmarks.perception --all      10 s and 30 s, one and eight clips of both systems: an hour on two cores
    python -m benchmarks.perception --tiny     the tiny variants, to see within a minute that it runs

Weights are random. The model class is built around a language model of the published width with one narrow layer,
which is never run: neither `encode` nor `connect` touches it. The comparator is Transformers' own modules (and BEATs',
which is ours) called directly, one after the other. Each case is a process of its own, so that its peak memory is.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TURNS = int(
    os.environ.get("EARSIGHT_BENCH_TURNS", "3")
)  # of path and comparator, one after the other, for one clip; a batch is measured once
TINY = "tiny"
GLUE_SHARE = 0.08  # of the path, at most: connector and everything else that is not an encoder
BEATS_SHARE = 0.20  # of the time of Whisper-large-v2's encoder, at most, on 30 s
SPEECH_HZ = 50  # frames handed on for a second of sound, and none for the padding to 30 s
QUESTION_TOKENS = 12
NARROW = {  # what of a language model only its layers need
    "vocab_size": 259,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 8,
}


@dataclass(frozen=True)
class Case:
    system: str
    seconds: int
    n_clips: int
    dtype: str

    @property
    def is_tiny(self) -> bool:
        return self.system.endswith(TINY)

    def __str__(self) -> str:
        return f"{self.system}, {self.seconds} s x {self.n_clips}"


def cases(more: bool, every: bool, tiny: bool, dtype: str) -> list[Case]:
    """What is measured, cheapest first."""
    salmonn, video = (f"{name}/{TINY if tiny else '13b'}" for name in ("salmonn", "video-salmonn"))
    chosen = [(salmonn, 10, 1), (salmonn, 30, 1), (video, 10, 1)]
    if more or every or tiny:
        chosen += [(salmonn, 10, 8), (salmonn, 30, 8), (video, 30, 1)]
    if every or tiny:
        chosen += [(video, 10, 8), (video, 30, 8)]
    return [Case(*one, dtype) for one in chosen]


def clip(seconds: int, image_size: int, seed: int) -> Any:
    """Noise to see and to hear, sampled as the media layer would: two frames a second, 16 kHz."""
    from earsight.types import Clip

    rng = np.random.default_rng(seed)
    times = np.arange(2 * seconds) / 2
    frames = rng.integers(0, 256, (len(times), image_size, image_size, 3), dtype=np.uint8)
    wave = (0.1 * rng.standard_normal(16000 * seconds)).astype(np.float32)
    return Clip(frames, times, wave, 0.0, 16000, float(seconds), "present", "present", f"noise {seed}")


def built(case: Case) -> Any:
    """The model class of a system with random weights, born in the number type that is measured."""
    import torch

    from earsight import systems
    from earsight.checkpoints.build import build_random

    described = systems.get(case.system)
    narrow = {} if case.is_tiny else {**described.language_model, **NARROW}
    usual = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, case.dtype))
    try:
        return build_random(case.system, {"language_model": narrow} if narrow else None).eval()
    finally:
        torch.set_default_dtype(usual)


def networks_of(encoder: Any) -> dict[str, Any]:
    """The networks inside one of the model's encoders, by name: Transformers' modules, or BEATs whole."""
    from transformers import PreTrainedModel

    from earsight.encoders.beats import Beats

    inner = [encoder] if isinstance(encoder, Beats) else encoder.children()
    return {type(one).__name__: one for one in inner if isinstance(one, Beats | PreTrainedModel)}


def attention(model: Any) -> dict[str, str]:
    """How each attention of Transformers inside encoders and connector is computed."""
    parts = [*model.encoders.modules(), *model.connector.modules()]
    configs = {type(part).__name__: getattr(part, "config", None) for part in parts}
    return {
        name: config._attn_implementation
        for name, config in configs.items()
        if "Attention" in name and hasattr(config, "_attn_implementation")
    }


@contextmanager
def timers(modules: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Seconds spent inside each module while the context is open."""
    spent, began = dict.fromkeys(modules, 0.0), {}

    def enter(name: str) -> Any:
        return lambda *_: began.__setitem__(name, time.perf_counter())

    def leave(name: str) -> Any:
        return lambda *_: spent.__setitem__(name, spent[name] + time.perf_counter() - began[name])

    hooks = [module.register_forward_pre_hook(enter(name)) for name, module in modules.items()]
    hooks += [module.register_forward_hook(leave(name)) for name, module in modules.items()]
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()


def forget_peak() -> bool:
    """Let the peak of resident memory begin anew; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_gigabytes() -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9


def prepared(case: Case, described: Any) -> tuple[dict[str, Any], dict[str, float]]:
    """The model's media inputs of a batch of clips, and seconds of `prepare`, whole and of each encoder."""
    import torch

    from earsight.model.media_inputs import lay_out, media_tensors, reads_question

    picture = described.encoder_of("picture")
    size = picture.image_size if picture else 32
    laid = [lay_out(clip(case.seconds, size, seed), described) for seed in range(case.n_clips)]
    seconds = dict.fromkeys(("all", *described.encoders), float("inf"))
    for _ in range(TURNS):  # the first also makes windows and filters, which are kept
        began = time.perf_counter()
        media: dict[str, Any] = media_tensors(laid, described)
        seconds["all"] = min(seconds["all"], time.perf_counter() - began)
        for name, encoder in described.encoders.items():
            rows = [piece.waveform for one in laid for piece in one.pieces.get(name, ())]
            if encoder.sense == "picture":
                rows = [one.pictures[frame.index] for one in laid for frame in one.frames]
            began = time.perf_counter()
            encoder.prepare(rows)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    if reads_question(described):
        ids = torch.arange(1, 1 + QUESTION_TOKENS).expand(case.n_clips, -1)
        media |= {"instruction_ids": ids, "instruction_mask": torch.ones_like(ids, dtype=torch.bool)}
    return media, seconds


def path(model: Any, media: dict[str, Any]) -> dict[str, Any]:
    """One pass of the model's own `encode` and `connect`: seconds of the whole and of its parts, shapes handed on."""
    networks = {name: one for encoder in model.encoders.values() for name, one in networks_of(encoder).items()}
    with timers({**networks, "connector": model.connector}) as spent:
        began = time.perf_counter()
        features = model.encode(media)
        question = (media.get("instruction_ids"), media.get("instruction_mask"))
        soft = model.connect(features, media["media_milliseconds"], *question)
        total = time.perf_counter() - began
    shapes = {name: list(one.values.shape) for name, one in features.items()}
    connector = spent.pop("connector")
    return {
        "total": total,
        "encoders": spent,
        "connector": connector,
        "glue": total - connector - sum(spent.values()),
        "shapes": shapes,
        "soft_tokens": list(soft.values.shape),
    }


def bare(model: Any, media: dict[str, Any]) -> float:
    """Seconds of the encoder networks called directly, with nothing between them."""
    import torch

    dtype = next(model.connector.parameters()).dtype
    began = time.perf_counter()
    for name, encoder in model.encoders.items():
        values = media[f"{name}_values"]
        networks = networks_of(encoder)
        if "Beats" in networks:
            encoder(values, media[f"{name}_lengths"])
        elif "WhisperEncoder" in networks:
            networks["WhisperEncoder"](values.to(dtype))
        else:
            seen = networks["InstructBlipVisionModel"](pixel_values=values.to(dtype)).last_hidden_state
            queries = encoder.query_tokens.expand(len(seen), -1, -1)
            ids = media["instruction_ids"][media[f"{name}_medium"]]
            networks["InstructBlipQFormerModel"](
                input_ids=ids,
                attention_mask=torch.ones(len(ids), queries.shape[1] + ids.shape[1], dtype=torch.long),
                query_embeds=queries,
                encoder_hidden_states=seen,
            )
    return time.perf_counter() - began


def measure(case: Case) -> dict[str, Any]:
    """One case, in this process."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    model = built(case)
    media, prepare = prepared(case, model.description)
    can_forget = forget_peak()
    weights, passes, alone = peak_gigabytes(), [], []
    with torch.inference_mode():
        shortest = Case(case.system, 1, 1, case.dtype)
        path(model, prepared(shortest, model.description)[0])  # once unmeasured: kernels are made for this processor
        peak = bare_peak = 0.0
        for _ in range(TURNS if case.n_clips == 1 else 1):
            forget_peak()
            passes.append(path(model, media))
            peak = max(peak, peak_gigabytes())
            if case.n_clips == 1:
                forget_peak()
                alone.append(bare(model, media))
                bare_peak = max(bare_peak, peak_gigabytes())
    return {
        **min(passes, key=lambda one: one["total"]),
        "quickest": {name: min(one["encoders"][name] for one in passes) for name in passes[0]["encoders"]},
        "prepare": prepare,
        "bare": min(alone, default=None),
        "weights_gb": weights,
        "peak_gb": peak,
        "bare_peak_gb": bare_peak if alone and can_forget else None,
        "attention": attention(model),
    }


def in_own_process(case: Case) -> dict[str, Any] | None:
    """`measure` in a fresh interpreter; None where that ends without figures, as for want of memory."""
    command = [sys.executable, "-m", "benchmarks.perception", "--case", json.dumps(asdict(case))]
    folder = Path(__file__).parent.parent
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    return None if ended.returncode else json.loads(ended.stdout.splitlines()[-1])


def not_encoders(found: dict[str, Any]) -> float:
    """Which part of the path is not encoders."""
    return (found["connector"] + found["glue"]) / found["total"]


def beats_share(found: dict[str, Any]) -> float:
    """BEATs beside Whisper's encoder, the quickest turn of each: a moment's disturbance falls on one of them."""
    return found["quickest"]["Beats"] / found["quickest"]["WhisperEncoder"]


def table(head: str, rows: list[str]) -> None:
    print(f"\n{head}\n|{'---|' * (head.count('|') - 1)}")
    print("\n".join(rows))


def cell(value: float | None, form: str = ".3f", unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def report(measured: dict[Case, dict[str, Any]]) -> None:
    """Print the tables."""
    times, memory, encoders, handed = [], [], [], []
    for case, found in measured.items():
        total, connector, glue, alone = (
            cell(found[name], unit=" s") for name in ("total", "connector", "glue", "bare")
        )
        ratio = cell(found["total"] / found["bare"] if found["bare"] else None, ".2f")
        inside = sum(found["encoders"].values())
        share = f"{100 * not_encoders(found):.1f} %"
        times.append(f"| {case} | {total} | {inside:.3f} s | {connector} | {glue} | {share} | {alone} | {ratio} |")
        sizes = (cell(found[name], ".2f", " GB") for name in ("weights_gb", "peak_gb", "bare_peak_gb"))
        memory.append(f"| {case} | {' | '.join(sizes)} |")
        parts, prepare = (
            ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found[what].items())
            for what in ("encoders", "prepare")
        )
        encoders.append(f"| {case} | {parts} | {beats_share(found):.3f} | {prepare} |")
        shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in found["shapes"].items())
        handed.append(f"| {case} | {shapes} | {tuple(found['soft_tokens'])} |")
    table("| case | path | in encoders | connector | glue | not encoders | bare encoders | path / bare |", times)
    table("| case | process and weights | peak of the path | peak of the bare encoders |", memory)
    table("| case | encoders inside the path | BEATs / Whisper | prepare |", encoders)
    table("| case | handed to the connector | soft tokens |", handed)


def misses(case: Case, found: dict[str, Any]) -> list[str]:
    """Which targets a case misses; those of time are for published sizes only."""
    missed, beats = [], beats_share(found)
    if not case.is_tiny and not_encoders(found) >= GLUE_SHARE:
        missed.append(f"{case}: connector and glue are {100 * not_encoders(found):.1f} % of the path")
    if not case.is_tiny and case.seconds == 30 and beats > BEATS_SHARE:
        missed.append(f"{case}: BEATs takes {beats:.3f} of the time of Whisper's encoder")
    n_frames = found["shapes"]["speech"][1]
    if n_frames != SPEECH_HZ * case.seconds:
        missed.append(f"{case}: {n_frames} frames of speech are handed on, not {SPEECH_HZ * case.seconds}")
    if wrong := {name: how for name, how in found["attention"].items() if how != "sdpa"}:
        missed.append(f"{case}: attention not through scaled_dot_product_attention: {wrong}")
    return missed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--more", action="store_true", help="all but the picture in eights")
    options.add_argument("--all", action="store_true", help="every case")
    options.add_argument("--tiny", action="store_true", help="every case at the tiny variants' sizes")
    options.add_argument("--dtype", help="float32 or bfloat16; else what this processor is fastest in")
    options.add_argument("--case", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.case:
        print(json.dumps(measure(Case(**json.loads(given.case)))))
        return
    import torch

    from earsight.model.precision import native_dtype

    dtype = given.dtype or str(native_dtype()).removeprefix("torch.")
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        options.error(f"--dtype {dtype}: expected float32 or bfloat16")
    measured, missed = {}, []
    for case in cases(given.more, given.all, given.tiny, dtype):
        found = in_own_process(case)
        print(f"{case}: {found['total']:.2f} s" if found else f"{case}: failed", file=sys.stderr, flush=True)
        missed += misses(case, found) if found else [f"{case}: ended without figures"]
        if found:
            measured[case] = found
    print(
        f"{os.cpu_count()} cores and threads, {dtype}, random weights; one clip: best of {TURNS} turns, batches: one."
    )
    how = {name: kind for found in measured.values() for name, kind in found["attention"].items()}
    print(f"Attention: {', '.join(f'{name} {kind}' for name, kind in sorted(how.items()))}.")
    report(measured)
    print(
        f"\nTargets: not encoders under {100 * GLUE_SHARE:.0f} %; BEATs / Whisper at most {BEATS_SHARE} on 30 s; "
        f"{SPEECH_HZ} frames of speech handed on for a second of sound; sdpa everywhere."
    )
    print("every target is met" if not missed else "\n".join(["missed:", *missed]))


if __name__ == "__main__":
    main()
