"""The held-out tests as a benchmark folder (`earsight.evaluation.benchmark`): written once, hashed, never made again.

unseen objects      questions that need no name: kinds, matching, side, direction, time, order, number, coincidence
known objects       names, of other sources' pictures and sounds
speech              unseen sentences in trained voices and in one that is not; real people
missing             silent, absent or ignored senses; clips in which no object is

Media are ordinary files: PNG, FLAC, and MP4 with H.264 and AAC, which are read as a user's are.
"""

import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from PIL import Image

from earsight.checkpoints.parts import cache_root
from earsight.data.records import Record, load, write_jsonl
from earsight.data.starter import corpus as starter_corpus
from earsight.data.starter.corpus import SAMPLE_RATE_HZ, Item
from earsight.data.starter.people import people
from earsight.data.starter.questions import QUESTIONS, UNNAMED_SOUNDS, Scene, answer
from earsight.data.starter.rendering import Renderer, address
from earsight.data.starter.sentences import sentences, side
from earsight.data.starter.voices import HELD_OUT_VOICES, TRAINED_VOICES
from earsight.media.sampling import Sampling

VERSION = "2"
# With AVX-512 x264 writes a film otherwise now and then (benchmarks/results/films.md); with SSE2 as its plain C does.
X264 = {"crf": "18", "threads": "1", "x264-params": "asm=sse2"}
FRAMES_PER_SECOND = 4
COUNTS = {
    "test": {
        "matching": 200,
        "which_side": 100,
        "direction": 60,
        "when": 100,
        "which_first": 100,
        "how_many": 100,
        "coincide": 100,
        "spoken_question": 150,
        "nothing_there": 60,
        "speech": 120,
    },
    "val": {
        "matching": 60,
        "which_side": 30,
        "direction": 30,
        "when": 30,
        "which_first": 30,
        "how_many": 30,
        "coincide": 30,
        "spoken_question": 50,
        "nothing_there": 20,
        "speech": 50,
    },
}
UNSEEN_VOICE_SHARE = 3  # one spoken sentence in so many is in a voice that was never trained on
COMPOSED = ("which_side", "when", "which_first", "how_many", "coincide")
BOTH, SEEN, HEARD = ["picture", "sound"], ["picture"], ["sound"]


def ability(about: str, senses: list[str], extract: str, target: float | None = None, metric: str = "accuracy") -> Any:
    """One thing that is tested, as benchmark.json tells it (`earsight.evaluation.benchmark.Ability`)."""
    found: dict[str, Any] = {"about": about, "senses": senses, "metric": metric, "extract": extract}
    return found | ({"target": target} if target is not None else {})


ABILITIES = {
    "picture_name": ability("name the pictured object (known object, other source)", SEEN, "name", 0.75),
    "sound_name": ability("name the sounding object (known object, other source)", HEARD, "name", 0.60),
    "picture_kind": ability("what kind of thing is pictured (unseen object)", SEEN, "exact"),
    "sound_kind": ability("what kind of sound it is (unseen object)", HEARD, "exact"),
    "matching": ability("does the sound belong to the picture (unseen objects)", BOTH, "yes_no", 0.80),
    "which_side": ability("which side (unseen objects)", SEEN, "option", 0.85),
    "direction": ability("which way it moves (unseen objects)", SEEN, "option"),
    "when": ability("when the sound begins (unseen objects)", HEARD, "number", 0.85),
    "which_first": ability("which comes first, object or sound (unseen objects)", BOTH, "option", 0.85),
    "how_many": ability("how many objects (unseen objects)", SEEN, "number", 0.85),
    "coincide": ability("do object and sound begin together (unseen objects)", BOTH, "yes_no", 0.85),
    "transcribe_trained_voices": ability("unseen sentences, trained voices", HEARD, "words", 0.20, "wer"),
    "transcribe_unseen_voice": ability("unseen sentences, an unseen synthetic voice", HEARD, "words", None, "wer"),
    "transcribe_people": ability("real people, never trained on", HEARD, "words", 0.40, "wer"),
    "spoken_question": ability("answer a question spoken over background sound", BOTH, "exact", 0.70),
    "spoken_question_unseen_voice": ability("the same in an unseen synthetic voice", BOTH, "exact"),
    "missing": ability("silent, missing or absent things reported as such", BOTH, "exact", 0.98),
}


class Writer:
    """Records of one side, their media written as files."""

    version = VERSION

    def __init__(self, renderer: Renderer, split: str, folder: Path) -> None:
        self.renderer, self.split, self.folder = renderer, split, folder
        self.draw = random.Random(f"benchmark/{split}")
        self.corpus = renderer.corpus

    def records(self, cache_dir: Path, source_dir: Path | None) -> Iterator[Record]:
        """All that is asked of this side."""
        for some in (self.names(), self.kinds(), self.composed(), self.missing()):
            yield from some
        yield from self.sentences(cache_dir, source_dir)
        yield from self.people(cache_dir, source_dir) if self.split == "test" else ()

    def described(self) -> dict[str, Any]:
        """What is asked, as benchmark.json tells it."""
        return {
            "name": f"starter-{self.split}",
            "version": VERSION,
            "description": f"Held-out tests of the starter corpus {self.corpus.hash[:12]}, side {self.split}.",
            "abilities": ABILITIES,
            "groups": {"composed": {"abilities": list(COMPOSED), "target": 0.85}},
            "majority": self.majority(),
        }

    def names(self) -> Iterator[Record]:
        for sense, name, task in (("picture", "picture_name", "see_name"), ("sound", "sound_name", "hear_name")):
            for item in self.corpus.of(sense, f"{self.split}_known"):  # type: ignore[arg-type]
                record = self._about(item, sense, name, task)
                record.extra["accepted"] = [item.name]
                yield record

    def kinds(self) -> Iterator[Record]:
        for sense, name, task in (("picture", "picture_kind", "see_kind"), ("sound", "sound_kind", "hear_kind")):
            for item in self.corpus.of(sense, self.split):  # type: ignore[arg-type]
                yield self._about(item, sense, name, task)

    def _about(self, item: Item, sense: str, ability: str, task: str) -> Record:
        if sense == "picture":
            scene, medium = Scene("present", "absent", item.kind, item.name), self.picture(item)
        else:
            scene, medium = Scene("absent", "present", None, None, item.kind, item.name), self._sound(item)
        told = (QUESTIONS[task][0], answer(scene, task))
        return tested(f"{ability}/{item.id}", ability, medium, told, [item.key])

    def composed(self) -> Iterator[Record]:
        composer = self.renderer.composer(self.split)
        for task, count in COUNTS[self.split].items():
            for number in range(count if task in composer.tasks and task != "nothing_there" else 0):
                plan = composer.plan(task, number)
                voices = {cue.voice for cue in plan.cues if cue.voice}
                unseen = "_unseen_voice" if voices & set(HELD_OUT_VOICES) else ""
                medium = self.film(address("composed", self.split, task, number), f"{task}-{number:03d}")
                told = (plan.question, plan.answer)
                record = tested(f"{task}/{number}", task + unseen, medium, told, list(plan.clusters))
                if plan.options and task != "spoken_question":
                    record.extra["options"] = list(plan.options)
                yield record

    def missing(self) -> Iterator[Record]:
        """A sense that is not there, asked about; and clips in which no object is."""
        for index, item in enumerate(self.corpus.of("picture", self.split)):  # type: ignore[arg-type]
            state = ("absent", "silent", "ignored")[index % 3]
            task = ("hear", "any_sound", "hear_kind", "hear_name", "transcribe")[index % 5]
            medium = self.picture(item)
            if state != "absent":
                medium["sound"] = self._silence() if state == "silent" else self._other_sound()["path"]
            if state == "ignored":
                medium["audio"] = "ignore"
            scene = Scene("present", state, item.kind, item.name)
            told = (self.draw.choice(QUESTIONS[task]), answer(scene, task))
            yield tested(f"missing/{item.id}", "missing", medium, told, [item.key])
        for index, item in enumerate(self.corpus.of("sound", self.split)):  # type: ignore[arg-type]
            task = ("see", "any_picture", "see_kind", "see_name")[index % 4]
            scene = Scene("absent", "present", None, None, item.kind, item.name)
            told = (self.draw.choice(QUESTIONS[task]), answer(scene, task))
            yield tested(f"missing/{item.id}", "missing", self._sound(item), told, [item.key])
        for number in range(COUNTS[self.split]["nothing_there"]):
            plan = self.renderer.composer(self.split).plan("nothing_there", number)
            medium = self.film(address("composed", self.split, "nothing_there", number), f"nothing-{number:03d}")
            yield tested(f"missing/nothing-{number}", "missing", medium, (plan.question, plan.answer), [f"n{number}"])

    def sentences(self, cache_dir: Path, source_dir: Path | None) -> Iterator[Record]:
        held_out = [text for text in sentences(cache_dir, source_dir) if side(text) == self.split]
        for number, text in enumerate(held_out[: COUNTS[self.split]["speech"]]):
            unseen = number % UNSEEN_VOICE_SHARE == 0
            voices = HELD_OUT_VOICES if unseen else TRAINED_VOICES
            voice = voices[number // UNSEEN_VOICE_SHARE % len(voices)] if unseen else self.draw.choice(voices)
            ability = "transcribe_unseen_voice" if unseen else "transcribe_trained_voices"
            medium = self.rendered_sound(address("speech", "test", voice, text), f"said-{number:03d}")
            told = (QUESTIONS["transcribe"][0], text)
            record = tested(f"{ability}/{number}", ability, medium, told, [text])
            record.extra["voice"] = f"synthetic: {voice}"
            yield record

    def people(self, cache_dir: Path, source_dir: Path | None) -> Iterator[Record]:
        for one in people(cache_dir, source_dir):
            medium = self._wave(one.waveform, f"{one.speaker}-{one.name}")
            told = (QUESTIONS["transcribe"][0], one.text)
            record = tested(f"people/{one.speaker}/{one.name}", "transcribe_people", medium, told, [one.name])
            record.extra["speaker"] = one.speaker
            yield record

    def majority(self) -> dict[str, str]:
        """Each ability's most frequent answer in training."""
        composer = self.renderer.composer("train")
        pictures, sounds = self.corpus.of("picture", "train"), self.corpus.of("sound", "train")
        seen = [Scene("present", "absent", item.kind, item.name) for item in pictures]
        heard = [Scene("absent", "present", None, None, item.kind, item.name) for item in sounds]
        named = [scene for scene in heard if scene.sound_kind not in UNNAMED_SOUNDS]
        told = {
            "picture_name": [answer(scene, "see_name") for scene in seen],
            "sound_name": [answer(scene, "hear_name") for scene in named],
            "picture_kind": [answer(scene, "see_kind") for scene in seen],
            "sound_kind": [answer(scene, "hear_kind") for scene in heard],
        }
        told |= {task: [composer.plan(task, number).answer for number in range(200)] for task in composer.tasks}
        told["spoken_question_unseen_voice"] = told["spoken_question"]
        return {name: Counter(told[name]).most_common(1)[0][0] for name in ABILITIES if name in told}

    def picture(self, item: Item) -> dict[str, Any]:
        """An item's picture, written as PNG."""
        file = f"media/{item.id}.png"
        if not (self.folder / file).is_file():
            clip = self.renderer.clip(address("picture", item.id, 0), Sampling())
            Image.fromarray(clip.frames[0]).save(self.folder / file)
        return {"type": "image", "path": file}

    def _sound(self, item: Item) -> dict[str, Any]:
        return self.rendered_sound(address("sound", item.id, 0), item.id)

    def _other_sound(self) -> dict[str, Any]:
        return self._sound(self.draw.choice(self.corpus.of("sound", self.split)))  # type: ignore[arg-type]

    def _silence(self) -> str:
        return str(self._wave(np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32), "silence")["path"])

    def rendered_sound(self, at: str, name: str) -> dict[str, Any]:
        """An address of sound alone, written as FLAC."""
        return self._wave(self.renderer.clip(at, Sampling()).waveform, name)

    def _wave(self, waveform: np.ndarray, name: str) -> dict[str, Any]:
        file = f"media/{name}.flac"
        if not (self.folder / file).is_file():
            soundfile.write(self.folder / file, waveform, SAMPLE_RATE_HZ, subtype="PCM_16")
        return {"type": "audio", "path": file}

    def film(self, at: str, name: str) -> dict[str, Any]:
        """An address of a clip, written as MP4."""
        file = f"media/{name}.mp4"
        clip = self.renderer.clip(at, Sampling(frames_per_second=FRAMES_PER_SECOND, max_frames=1000))
        write_film(self.folder / file, clip.frames, clip.waveform if clip.sound == "present" else None)
        return {"type": "video", "path": file}


def write_benchmark(
    renderer: Renderer,
    split: str,
    folder: Path,
    cache_dir: Path,
    source_dir: Path | None,
    kind: type[Writer] = Writer,
) -> Path:
    """Write the tests of a side ("val" or "test"), whole or not at all; returns the folder.

    Raises:
        EarsightError: a package with people's recordings cannot be had.
    """
    if (folder / "hashes.json").is_file():
        return folder
    scratch = folder.with_name(f"{folder.name}.incoming")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "media").mkdir(parents=True)
    writer = kind(renderer, split, scratch)
    write_jsonl(scratch / "records.jsonl", writer.records(cache_dir, source_dir))
    told = {record.task for record in load(scratch / "records.jsonl")}
    about = writer.described()
    about["abilities"] = {name: value for name, value in about["abilities"].items() if name in told}
    about |= {"conditions": ["full", "text only", "sound only", "picture only"], "max_new_tokens": 40}
    (scratch / "benchmark.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    files = sorted(path for path in scratch.rglob("*") if path.is_file() and path.name != "benchmark.json")
    hashes = {path.relative_to(scratch).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (scratch / "hashes.json").write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    scratch.replace(folder)
    return folder


def write_film(file: Path, frames: np.ndarray, waveform: np.ndarray | None) -> None:
    """(n, height, width, 3) uint8 at FRAMES_PER_SECOND and (samples,) at 16 kHz -> MP4, always alike."""
    with av.open(str(file), "w", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=X264)
        video.width, video.height, video.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono") if waveform is not None else None
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and waveform is not None:
            size = audio.codec_context.frame_size or 1024
            # Whole frames only: what an encoder finds beyond a shorter last one is not always the same.
            whole = np.pad(waveform, (0, -len(waveform) % size)).astype(np.float32)
            for begin in range(0, len(whole), size):
                part = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(whole[None, begin : begin + size]), format="fltp", layout="mono"
                )
                part.sample_rate, part.pts = SAMPLE_RATE_HZ, begin
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))


def tested(name: str, ability: str, medium: dict[str, Any], told: tuple[str, str], cluster: list[str]) -> Record:
    """A medium, its question with the true answer, and the objects that its interval is clustered by."""
    content = [medium, {"type": "text", "text": told[0]}]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": told[1]},
    ]
    return Record(name, "starter-test", ability, messages, extra={"cluster": cluster})


def ready(split: str, source_dir: Path | None = None, kind: type[Writer] = Writer, name: str = "starter") -> Path:
    """The benchmark of a side in the user's cache, written there first if need be (with the corpus, if need be).

    Raises:
        EarsightError: a package of the corpus cannot be had.
    """
    corpus = starter_corpus.build(cache_root(), source_dir)
    folder = cache_root() / "benchmarks" / f"{name}-{split}-{corpus.hash[:12]}-{kind.version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not (folder / "hashes.json").is_file():
        renderer = Renderer.tried(corpus, cache_root(), source_dir)
        write_benchmark(renderer, split, folder, cache_root(), source_dir, kind)
    return folder
