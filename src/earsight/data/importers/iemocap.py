"""IEMOCAP: acted dialogues of ten actors in five sessions, 12 hours (Busso et al., 2008). On request from USC,
research only.

    ROOT/IEMOCAP_full_release/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        % [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]
        [6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]
        C-E2:   Neutral;   ()                                       each annotator's own label: not read
    ROOT/IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

Layout and lines as several public readers take them (EmoEvaluation also holds folders and hidden "._" files: not read).
Split: session1 ... session5, "train" for SALMONN's sessions 1 to 4, "test" for session 5.

Trained on by SALMONN (table 1: emotion_recognition, 4K utterances of sessions 1 to 4). With the four usual classes,
excitement counted as happiness, these sessions have 4,290 utterances, hence those classes; other labels (frustration,
surprise, no agreement ...) are left out without report. The answers' words are ours.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "IEMOCAP release form (research)"
EMOTIONS = {"ang": "Angry", "hap": "Happy", "exc": "Happy", "sad": "Sad", "neu": "Neutral"}
LABELS = {*EMOTIONS, "fru", "sur", "fea", "dis", "oth", "xxx"}
SPLITS = {"train": (1, 2, 3, 4), "test": (5,)} | {f"session{number}": (number,) for number in range(1, 6)}
TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses\d{2}[FM]_\w+)\t(\w+)\t\[.*\]")


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """A turn each, task "emotion_recognition"."""
    _samples.one_of(split, tuple(SPLITS), "iemocap")
    for session in SPLITS[split]:
        folder = _tables.there(root / "IEMOCAP_full_release" / f"Session{session}", "IEMOCAP")
        for file in sorted((folder / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
            for place, line in _tables.lines(file, problems):
                if not line.startswith("["):
                    continue
                turn = TURN.match(line)
                if not turn or turn[2] not in LABELS:
                    problems.add(place, f"not a turn with its emotion: {line!r:.80}")
                elif turn[2] in EMOTIONS:
                    sound = folder / "sentences" / "wav" / file.stem / f"{turn[1]}.wav"
                    part = {"type": "audio", "path": sound.relative_to(root).as_posix()}
                    yield _samples.sample("iemocap", turn[1], "emotion_recognition", part, EMOTIONS[turn[2]], LICENCE)
