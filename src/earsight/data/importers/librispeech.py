"""LibriSpeech: read English audiobooks, 960 hours (Panayotov et al., ICASSP 2015; openslr.org/12). CC-BY-4.0.

    ROOT/LibriSpeech/SPEAKERS.TXT                                   ;ID |SEX| SUBSET |MINUTES| NAME
    ROOT/LibriSpeech/train-clean-100/103/1240/103-1240.trans.txt    103-1240-0000 CHAPTER ONE MISSUS RACHEL ...
    ROOT/LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac
    LEXICON                                                         A'S  EY1 Z        word and its phones, blank between

Layout as the archives unpack; SPEAKERS.TXT as tensorflow/datasets reads it. Splits are the folders, "+"
between several: train-clean-100+train-clean-360+train-other-500.

Trained on by SALMONN (sections 4.2 and table 1: asr, phone_recognition, speech_qa on 960 hours, gender_recognition on
28K utterances, which is train-clean-100) and video-SALMONN (section 4.3: train-clean-100+train-clean-360, asr).

Phones: the corpus has none. They are looked up word by word in `lexicon`, one file or several: OpenSLR 11's
librispeech-lexicon.txt, or librispeech-lexicon-200k-g2p.txt and -allothers-g2p.txt as the SUPERB benchmark uses them
(s3prl), which by means of a grapheme-to-phoneme model cover every word. A word's first pronunciation counts; an
utterance with an unknown word is reported and left out. Which lexicon SALMONN used is not published.
Questions (speech_qa): see _samples.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record
from earsight.errors import EarsightError

LICENCE = "CC-BY-4.0"
TASKS = ("asr", "phone_recognition", "gender_recognition", "speech_qa")
GENDERS = {"F": "Female", "M": "Male"}


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "asr",
    lexicon: Path | str | Sequence[Path | str] = (),
    questions: Path | str | None = None,
) -> Iterator[Record]:
    """An utterance each, or a question each."""
    _samples.one_of(task, TASKS, "librispeech")
    if task == "speech_qa":
        parts = {name: {"type": "audio", "path": path} for _, name, path, _ in utterances(root, split, problems)}
        yield from _samples.asked("librispeech", task, parts, questions, LICENCE, problems)
        return
    phones = _phones(lexicon, problems) if task == "phone_recognition" else {}
    genders = _genders(root, problems) if task == "gender_recognition" else {}
    for place, name, path, text in utterances(root, split, problems):
        if task == "phone_recognition":
            unknown = [word for word in text.split() if word not in phones]
            answer = " ".join(phones[word] for word in text.split() if word in phones)
            reason = f"a word is not in the lexicon: {', '.join(unknown)}" if unknown else ""
        elif task == "gender_recognition":
            answer = genders.get(name.split("-")[0], "")
            reason = "" if answer else f"the speaker is not in SPEAKERS.TXT: {name}"
        else:
            answer, reason = text, ""
        if reason:
            problems.add(place, reason)
        else:
            part = {"type": "audio", "path": path}
            yield _samples.sample("librispeech", name, task, part, answer, LICENCE)


def utterances(root: Path, split: str, problems: Problems) -> Iterator[tuple[str, str, str, str]]:
    """Place, name, path of the sound and text of each utterance, in the order of the names."""
    for subset in split.split("+"):
        folder = _tables.there(root / "LibriSpeech" / subset, "LibriSpeech")
        for file in sorted(folder.glob("*/*/*.trans.txt")):
            for place, line in _tables.lines(file, problems):
                name, _, text = line.partition(" ")
                if not text.strip() or name.rpartition("-")[0] != file.name.removesuffix(".trans.txt"):
                    problems.add(place, f"not a name of this chapter and its text: {line!r:.60}")
                    continue
                yield place, name, (file.parent / f"{name}.flac").relative_to(root).as_posix(), text.strip()


def _phones(lexicon: Path | str | Sequence[Path | str], problems: Problems) -> dict[str, str]:
    files = [lexicon] if isinstance(lexicon, Path | str) else list(lexicon)
    if not files:
        raise EarsightError(
            "librispeech: phones need lexicon=FILE; LibriSpeech's own is librispeech-lexicon.txt (SLR 11)"
        )
    found: dict[str, str] = {}
    for file in files:
        for place, line in _tables.lines(_tables.there(Path(file), "a lexicon"), problems):
            word, *phones = line.split()
            if phones:
                found.setdefault(word, " ".join(phones))
            else:
                problems.add(place, f"a word without phones: {word}")
    return found


def _genders(root: Path, problems: Problems) -> dict[str, str]:
    found = {}
    file = _tables.there(root / "LibriSpeech" / "SPEAKERS.TXT", "LibriSpeech")
    for place, line in _tables.lines(file, problems):
        if line.startswith(";"):
            continue
        speaker, sex = ([cell.strip() for cell in line.split("|")] + [""])[:2]
        if sex in GENDERS:
            found[speaker] = GENDERS[sex]
        else:
            problems.add(place, f"no F or M in the second column: {line!r:.60}")
    return found
