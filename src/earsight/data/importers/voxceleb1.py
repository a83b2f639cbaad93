"""VoxCeleb1: interviews of 1,251 celebrities, 153K utterances (Nagrani et al., 2017). Annotation CC-BY-4.0.

    ROOT/vox1_meta.csv      VoxCeleb1 ID <tab> VGGFace1 ID <tab> Gender <tab> Nationality <tab> Set
                            id10001      <tab> A.J._Buckley <tab> m    <tab> Ireland     <tab> dev
    ROOT/veri_test.txt      1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav       1: the same speaker
    ROOT/wav/id10001/1zcIwhmdeo4/00001.wav

Both archives' wav/ folder, with the tables of the data set's page beside it, as torchaudio expects it. Splits: "dev" or
"test", by the speakers' Set.

Trained on by SALMONN (table 1: speaker_verification, 520K samples). Of its pairs nothing is published but the form:
two utterances one after the other, 0.1 s of silence between, and "Answer yes or no" (its dataset.py and prompts). So
"test" reads the published trials (another list: trials="veri_test2.txt"), and "dev" draws `pairs` partners for every
utterance from `seed`: by turns one of the same speaker, if possible from another video, and one of another speaker;
four give 595K. gender_recognition: from the tables; SALMONN took LibriSpeech for it.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
COLUMNS = ("VoxCeleb1 ID", "Gender", "Set")
GENDERS = {"m": "Male", "f": "Female"}


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "speaker_verification",
    trials: str = "veri_test.txt",
    pairs: int = 4,
    seed: int = 0,
) -> Iterator[Record]:
    """A pair of utterances each, answered "Yes" or "No", or an utterance each with the speaker's gender."""
    _samples.one_of(task, ("speaker_verification", "gender_recognition"), "voxceleb1")
    _samples.one_of(split, ("dev", "test"), "voxceleb1")
    if task == "speaker_verification" and split == "test":
        found = _trials(root / trials, problems)
    elif task == "speaker_verification":
        spoken = {speaker: utterances for speaker, _, utterances in _speakers(root, split, problems)}
        found = _pairs(spoken, pairs, random.Random(seed))
    else:
        for speaker, gender, utterances in _speakers(root, split, problems):
            for name in utterances:
                yield _samples.sample("voxceleb1", _name(name), task, _part(name), gender, LICENCE, speaker=speaker)
        return
    for number, (same, first, second) in enumerate(found):
        answer = "Yes" if same else "No"
        name = f"{split}/{number:06d}"
        yield _samples.sample("voxceleb1", name, task, [_part(first), _part(second)], answer, LICENCE)


def _part(name: str) -> dict[str, str]:
    return {"type": "audio", "path": f"wav/{name}"}


def _name(name: str) -> str:
    return name.removesuffix(".wav")


def _speakers(root: Path, split: str, problems: Problems) -> Iterator[tuple[str, str, list[str]]]:
    """Speaker, gender and utterances of a split, in the table's order."""
    file = _tables.there(root / "vox1_meta.csv", "VoxCeleb1")
    for place, row in _tables.table(file, problems, COLUMNS, "\t", quoted=False):
        speaker, gender, part = (row[column].strip() for column in COLUMNS)
        if gender not in GENDERS or part not in ("dev", "test"):
            problems.add(place, f"no known gender or set: {speaker} has {gender!r} and {part!r}")
        elif part == split:
            there = sorted((root / "wav" / speaker).glob("*/*.wav"))
            yield speaker, GENDERS[gender], [f"{speaker}/{one.parent.name}/{one.name}" for one in there]


def _trials(file: Path, problems: Problems) -> Iterator[tuple[bool, str, str]]:
    for place, line in _tables.lines(_tables.there(file, "VoxCeleb1"), problems):
        cells = line.split()
        if len(cells) == 3 and cells[0] in ("0", "1"):
            yield cells[0] == "1", cells[1], cells[2]
        else:
            problems.add(place, f"expected 0 or 1 and two files: {line!r:.80}")


def _pairs(spoken: dict[str, list[str]], pairs: int, draw: random.Random) -> Iterator[tuple[bool, str, str]]:
    speakers = [speaker for speaker, utterances in spoken.items() if utterances]
    for speaker in speakers:
        for first in spoken[speaker]:
            video = first.rpartition("/")[0]
            own = [one for one in spoken[speaker] if one != first]
            elsewhere = [one for one in own if one.rpartition("/")[0] != video]
            for number in range(pairs):
                if number % 2 == 0 and own:
                    yield True, first, draw.choice(elsewhere or own)
                elif number % 2 and len(speakers) > 1:
                    other = draw.choice(speakers)
                    while other == speaker:
                        other = draw.choice(speakers)
                    yield False, first, draw.choice(spoken[other])
