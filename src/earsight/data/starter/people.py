"""Real people speaking English, with what they say: never trained on.

LibriVox sentences, playing cards, a robot's command (pocketsphinx-testdata) -> `transcription` files
words of a children's alphabet (klettres-data), loudspeaker names (alsa-utils) -> file names
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earsight.data.starter.normal_forms import normal_sound
from earsight.data.starter.packages import PACKAGES, unpack

WORDS = ("car", "dog", "fix", "gas", "gem", "hot", "jet", "key", "me", "my", "no", "pet", "saw", "say", "sit", "sky")
RAW = {"goforward": "go forward ten meters"}  # headerless 16 kHz; what is said is what its grammar allows


@dataclass(frozen=True)
class Utterance:
    """One recording."""

    name: str
    speaker: str  # the package and the person's set: intervals are clustered by it
    text: str
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    licence: str


def people(cache_dir: Path, source_dir: Path | None = None) -> list[Utterance]:
    """All recordings.

    Raises:
        EarsightError: a package cannot be had.
    """
    places = {
        name: unpack(PACKAGES[name], cache_dir, source_dir)
        for name in ("pocketsphinx-testdata", "klettres-data", "alsa-utils")
    }
    sphinx = places["pocketsphinx-testdata"]
    found = [
        *_transcribed(sphinx / "librivox" / "transcription", "librivox", "public domain"),
        *_transcribed(sphinx / "cards" / "cards.transcription", "cards", "BSD-2-Clause"),
    ]
    for name, text in RAW.items():
        raw = np.frombuffer((sphinx / f"{name}.raw").read_bytes(), dtype="<i2").astype(np.float32) / 32768
        found.append(Utterance(name, "pocketsphinx", text, raw, "BSD-2-Clause"))
    for word in WORDS:
        file = places["klettres-data"] / "en" / "syllab" / f"{word}.ogg"
        found.append(Utterance(word, "klettres", word, normal_sound(file.read_bytes(), str(file)), "GPL-2+"))
    for file in sorted(places["alsa-utils"].glob("*_*.wav")):
        text = file.stem.replace("_", " ").lower()
        found.append(Utterance(file.stem, "alsa", text, normal_sound(file.read_bytes(), str(file)), "GPL-2"))
    return found


def _transcribed(file: Path, speaker: str, licence: str) -> list[Utterance]:
    """Lines such as `<s> ten of clubs </s> (001)`, the recordings beside them."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        said, _, name = line.rpartition("(")
        wave = file.parent / f"{name.strip(' )')}.wav"
        text = " ".join(said.replace("<s>", "").replace("</s>", "").split())
        found.append(Utterance(wave.stem, speaker, text, normal_sound(wave.read_bytes(), str(wave)), licence))
    return found
