"""Asking the starter: time to first token, whole answer, second question, tokens a second, peak memory.

    python -m benchmarks.ask

The bare language model in Transformers, in the same run and the same precision, is the comparator for tokens a second.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

QUESTION = "What do you see, and what do you hear?"
RUNS = 5
N_TOKENS = 48


def write_clip(path: Path, seconds: int = 10) -> None:
    """A 360p H.264 clip with AAC sound: moving colours and a warbling tone."""
    import av

    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, width=640, height=360, pix_fmt="yuv420p")
        audio = out.add_stream("aac", rate=48000)
        rows, columns = np.mgrid[0:360, 0:640]
        for index in range(25 * seconds):
            channels = ((columns + 3 * index) % 256, (rows + 2 * index) % 256, (rows + columns) // 4 % 256)
            frame = av.VideoFrame.from_ndarray(np.stack(channels, -1).astype(np.uint8), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode())
        times = np.arange(48000 * seconds) / 48000
        wave = (0.3 * np.sin(2 * np.pi * (440 + 100 * np.sin(6 * times)) * times)).astype(np.float32)
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            out.mux(audio.encode(frame))
        out.mux(audio.encode())


def first_and_second(model, clip: Path) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """One cold ask of a loaded model and a second question, seconds."""
    chat_began = time.perf_counter()
    chat = model.chat(str(clip))
    chat_seconds = time.perf_counter() - chat_began
    first = chat.ask(QUESTION, max_new_tokens=20)
    second = chat.ask("Which animal is it?", max_new_tokens=20)
    seconds = {"first token": first.timings["first_token"], "second question": second.timings["first_token"]}
    seconds["answer"] = first.timings["total"]
    seconds |= {verb: first.timings[verb] for verb in ("decode", "prepare", "encode", "connect")}
    assert chat_seconds <= seconds["first token"], "the first token's time includes decoding and encoding"
    return seconds


def whole_answer(model, clip: Path, n_tokens: int = 20) -> float:  # type: ignore[no-untyped-def]
    """Seconds from file to an answer of exactly n tokens."""
    model.model.generation_config.min_new_tokens = n_tokens
    began = time.perf_counter()
    answer = model.ask(str(clip), QUESTION, max_new_tokens=n_tokens)
    model.model.generation_config.min_new_tokens = None
    assert answer.n_tokens == n_tokens
    return time.perf_counter() - began


def tokens_per_second(generating, ids, n_tokens: int = N_TOKENS, **media) -> float:  # type: ignore[no-untyped-def]
    """Tokens a second after the first, greedy."""
    import torch

    mask = torch.ones_like(ids)
    options = {"input_ids": ids, "attention_mask": mask, "do_sample": False, **media}
    spans = []
    for length in (1, n_tokens + 1):
        began = time.perf_counter()
        generating.generate(**options, min_new_tokens=length, max_new_tokens=length)
        spans.append(time.perf_counter() - began)
    return n_tokens / (spans[1] - spans[0])


def compare_speed(model, clip: Path) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Tokens a second of Earsight and of the bare language model, over prompts of the same length, medians of turns."""
    import torch
    from transformers import LlamaForCausalLM

    from earsight.checkpoints.parts import parts_folder

    ours = model.model
    bare = LlamaForCausalLM.from_pretrained(parts_folder() / "llm", dtype=ours.language_model.dtype).eval()
    content = [{"type": "video", "video": str(clip)}, {"type": "text", "text": QUESTION}]
    inputs = model.processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True
    )
    ids = inputs["input_ids"]
    with torch.no_grad():
        made = ours.soft_tokens(inputs)
    media = {"soft_tokens": made.values, "soft_token_mask": made.mask}
    plain = torch.full_like(ids, 100)
    pairs = [(tokens_per_second(ours, ids, **media), tokens_per_second(bare, plain)) for _ in range(RUNS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def peak_memory(clip: Path) -> float:
    """Peak resident gigabytes of one `earsight ask` process."""
    program = (
        "import resource, sys; from earsight.apps.cli import main\n"
        f"sys.argv = ['earsight', 'ask', {str(clip)!r}, {QUESTION!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(ended.stderr.split()[-1]) * 1024 / 1e9


def main() -> None:
    import torch

    from earsight import load

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        began = time.perf_counter()
        model = load("starter")
        loading = time.perf_counter() - began
        runs = [first_and_second(model, clip) for _ in range(RUNS + 1)][1:]
        median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        whole = statistics.median(whole_answer(model, clip) for _ in range(RUNS))
        ours, bare = compare_speed(model, clip)
        memory = peak_memory(clip)
    print(f"10 s 360p clip, {torch.get_num_threads()} threads, medians of {RUNS}, {model.model.language_model.dtype}")
    print(f"model loaded in {loading:.1f} s")
    parts = ", ".join(f"{verb} {median[verb]:.3f}" for verb in ("decode", "prepare", "encode", "connect"))
    ratio = median["first token"] / median["second question"]
    print("| what | measured | target |\n|---|---|---|")
    print(f"| time to first token ({parts} s) | {median['first token']:.3f} s | under 1.5 s |")
    print(f"| whole answer of 20 tokens | {whole:.3f} s | under 2.5 s |")
    print(f"| second question, time to first token | {median['second question']:.3f} s, {ratio:.1f} x faster | 20 x |")
    print(f"| tokens a second, beside {bare:.1f} of the bare model | {ours:.1f}, {ours / bare:.2f} x | 0.95 x |")
    print(f"| peak memory of `earsight ask` | {memory:.2f} GB | under 2 GB |")


if __name__ == "__main__":
    main()
