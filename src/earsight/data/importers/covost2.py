"""CoVoST 2: Common Voice 4 with translations, here from English (Wang et al., Interspeech 2021). CC0-1.0.

    ROOT/en/covost_v2.en_zh-CN.tsv      path <tab> translation <tab> split: common_voice_en_19664034.mp3, ..., train
    ROOT/en/clips/common_voice_en_19664034.mp3

Common Voice 4's English archive as ROOT/en with the translations put beside its tables, as fairseq's example does.
Tabs, no quotes, backslash escapes: facebookresearch/covost's get_covost_splits.py, from which the splits are too:
"train" is train and train_covost, "dev" and "test" are themselves. (That script keeps only clips of Common Voice's
validated.tsv; clips that are not there are for the validator.) Translations that say REMOVE are, by its authors, to
be discarded.

Languages: zh (SALMONN's En2Zh, section 4.2, 290K samples), ja and de (its level 2 tests, section 4.3).
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC0-1.0"
LANGUAGES = {"zh": "zh-CN", "ja": "ja", "de": "de"}
SPLITS = {"train": ("train", "train_covost"), "dev": ("dev",), "test": ("test",)}


def records(root: Path, split: str, *, problems: Problems, language: str = "zh") -> Iterator[Record]:
    """A translation each, task "translation_en_zh", "translation_en_ja" or "translation_en_de"."""
    _samples.one_of(language, tuple(LANGUAGES), "covost2")
    _samples.one_of(split, tuple(SPLITS), "covost2")
    file = _tables.there(root / "en" / f"covost_v2.en_{LANGUAGES[language]}.tsv", "CoVoST 2")
    for place, row in _tables.table(file, problems, ("path", "translation", "split"), "\t", quoted=False):
        if row["split"] not in SPLITS[split]:
            continue
        if "REMOVE" in row["translation"]:
            problems.add(place, "the translation is marked REMOVE")
            continue
        part = {"type": "audio", "path": f"en/clips/{row['path']}"}
        name = f"en_{language}/{row['path'].removesuffix('.mp3')}"
        yield _samples.sample("covost2", name, f"translation_en_{language}", part, row["translation"].strip(), LICENCE)
