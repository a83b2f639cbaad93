"""A benchmark of a dozen records about generated media."""

import json
import shutil

from earsight.data.records import Record, write_jsonl
from earsight.evaluation import benchmark as benchmarks

ABILITIES = {
    "picture_name": {"about": "What is pictured?", "senses": ["picture"], "extract": "name", "target": 0.75},
    "sound_kind": {"about": "What is heard?", "senses": ["sound"], "extract": "option", "target": 0.6},
    "matching": {"about": "Do sight and sound belong together?", "extract": "yes_no", "target": 0.8},
    "transcribe": {"about": "What is said?", "senses": ["sound"], "metric": "wer", "target": 0.4},
}
DESCRIPTION = {
    "name": "dozen",
    "version": "1",
    "description": "Made for tests.",
    "abilities": ABILITIES,
    "groups": {"senses": ["picture_name", "sound_kind"]},
    "majority": {"matching": "Yes."},
    "max_new_tokens": 6,
}


def record(task, number, part, question, answer, **extra):
    content = [part, {"type": "text", "text": question}]
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    return Record(f"{task}/{number}", "dozen", task, turns, "CC0-1.0", extra)


def dozen():
    """The records: pictures, sounds, films and speech, three of each."""
    kinds = ("bell", "dog", "rain")
    made = []
    for n, name in enumerate(("an owl", "a fox", "a boat")):
        picture, sound = {"type": "image", "path": f"media/{n}.png"}, {"type": "audio", "path": f"media/{n}.wav"}
        film = {"type": "video", "path": f"media/{n}.mp4"}
        named = f"Probably {name}."
        made += [
            record("picture_name", n, picture, "What do you see?", named, cluster=name, accepted=["animal"]),
            record("sound_kind", n, sound, "What do you hear?", kinds[n], cluster=kinds[n], options=list(kinds)),
            record("matching", n, film, "Do they match?", "No." if n else "Yes.", cluster=[name, kinds[n]]),
            record("transcribe", n, sound, "What is said?", "The bell rings twice.", cluster=f"voice {n}"),
        ]
    return made


def write_benchmark(folder, media, records, description=None):
    shutil.copytree(media, folder / "media")
    (folder / "benchmark.json").write_text(json.dumps(description or DESCRIPTION))
    write_jsonl(folder / "records.jsonl", records)
    benchmarks.write_hashes(folder)
    return folder
