"""LibriMix with two speakers: LibriSpeech utterances mixed, with or without noise (Cosentino et al., 2020). CC-BY-4.0.

    ROOT/Libri2Mix/wav16k/max/metadata/mixture_train-360_mix_clean.csv
        mixture_ID,mixture_path,source_1_path,source_2_path,length  4077-13754-0001_5142-33396-0065,/.../...wav,...
    ROOT/Libri2Mix/wav16k/max/train-360/mix_clean/4077-13754-0001_5142-33396-0065.wav
    ROOT/LibriSpeech/train-clean-360/4077/13754/4077-13754.trans.txt

What generate_librimix.sh leaves in its storage folder (JorisCos/LibriMix; newer versions add a column). The table's
paths are absolute ones of the machine that mixed, so they are built anew. Splits: train-100, train-360, dev, test,
"+" between several.

Trained on by SALMONN (table 1: overlapped_asr, 64K samples, which is train-100+train-360). Mode "max" lasts as long
as the longer utterance, so that both texts are whole; "min" would cut. mix: mix_clean, or mix_both with noise; which
SALMONN took is not stated. The answer is both texts, a line each, in the mixture's order: this form is ours.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables, librispeech
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
SUBSETS = {"train-100": "train-clean-100", "train-360": "train-clean-360", "dev": "dev-clean", "test": "test-clean"}


def records(
    root: Path, split: str, *, problems: Problems, mode: str = "max", mix: str = "mix_clean"
) -> Iterator[Record]:
    """A mixture each, task "overlapped_asr"."""
    for subset in split.split("+"):
        spoken = SUBSETS[_samples.one_of(subset, tuple(SUBSETS), "librimix")]
        folder = Path("Libri2Mix") / "wav16k" / mode
        file = _tables.there(root / folder / "metadata" / f"mixture_{subset}_{mix}.csv", "LibriMix")
        texts = {name: text for _, name, _, text in librispeech.utterances(root, spoken, problems)}
        for place, row in _tables.table(file, problems, ("mixture_ID",)):
            name = row["mixture_ID"]
            speakers = name.split("_")
            unknown = [one for one in speakers if one not in texts]
            if len(speakers) != 2 or unknown:
                reason = f"no text: {', '.join(unknown)}" if unknown else f"not two utterances: {name}"
                problems.add(place, reason)
                continue
            part = {"type": "audio", "path": (folder / subset / mix / f"{name}.wav").as_posix()}
            answer = "\n".join(texts[one] for one in speakers)
            yield _samples.sample("librimix", f"{subset}/{name}", "overlapped_asr", part, answer, LICENCE)
