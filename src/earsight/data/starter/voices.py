"""Synthetic voices: flite and eSpeak NG, unpacked from their pinned packages and run there; nothing is installed.

    speak("slt", "what do you see") -> waveform (samples,) float32 at 16 kHz

Every sample made of them is marked as synthetic by its voice's name.
"""

import io
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from earsight.data.starter import silent_audio
from earsight.data.starter.normal_forms import SAMPLE_RATE_HZ
from earsight.data.starter.packages import of_use, unpack
from earsight.errors import EarsightError

# A voice's name and how its program is told of it; those in HELD_OUT_VOICES are never trained on.
FLITE = {"slt": "slt", "rms": "rms", "awb": "awb", "kal": "kal16"}
ESPEAK = {"espeak": "en-us", "espeak-low": "en-us+m3", "espeak-high": "en-us+f2", "espeak-northern": "en-gb-x-gbclan"}
HELD_OUT_VOICES = ("espeak-northern",)
TRAINED_VOICES = tuple(name for name in (*FLITE, *ESPEAK) if name not in HELD_OUT_VOICES)
SILENCE = 0.01  # of the peak: quieter is cut off at both ends
EDGE_SECONDS = 0.1  # kept around what is spoken


@dataclass(frozen=True)
class Voices:
    """The programs, where they were unpacked."""

    programs: dict[str, Path]  # by package
    libraries: tuple[Path, ...]
    data: Path  # eSpeak's

    @classmethod
    def unpacked(cls, cache_dir: Path, source_dir: Path | None = None) -> "Voices":
        """Unpack the synthesizers' packages in the cache.

        Raises:
            EarsightError: a package cannot be had, or this machine cannot run them.
        """
        cls.check_machine()
        folders = {package.name: unpack(package, cache_dir, source_dir) for package in of_use("voices")}
        libraries = [path for name, path in folders.items() if name.startswith("lib")]
        # The stand-in goes before libpcaudio0 of the pins, which is not to be loaded.
        return cls(folders, (silent_audio.folder_with_it(cache_dir), *libraries), folders["espeak-ng-data"])

    @classmethod
    def tried(cls, cache_dir: Path, source_dir: Path | None = None) -> "Voices":
        """The same, after both programs have said a word: before hours of work, not in the midst of them.

        Raises:
            EarsightError: as `unpacked`, or a program that does not run here.
        """
        found = cls.unpacked(cache_dir, source_dir)
        for voice in ("slt", "espeak"):
            found.speak(voice, "yes")
        return found

    @staticmethod
    def check_machine() -> None:
        """Make sure that this machine can run the synthesizers.

        Raises:
            EarsightError: it cannot.
        """
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            here = f"{platform.system()} {platform.machine()}"
            raise EarsightError(
                f"the corpus' voices are programs for Linux on x86-64, this is {here}; build the corpus there, "
                "or leave speech out with --without speech"
            )

    def speak(self, voice: str, text: str) -> np.ndarray:
        """A text in a voice: (samples,) float32 at 16 kHz, its silent ends cut to a tenth of a second.

        Raises:
            EarsightError: a voice that there is not, or a synthesizer that fails.
        """
        if voice in FLITE:
            command = [str(self.programs["flite"] / "flite"), "-voice", FLITE[voice], "-t", text, "-o", "/dev/stdout"]
        elif voice in ESPEAK:
            command = [str(self.programs["espeak-ng"] / "espeak-ng"), "-v", ESPEAK[voice], "--stdout", text]
        else:
            raise EarsightError(f"no voice '{voice}'; there are: {', '.join((*FLITE, *ESPEAK))}")
        places = os.pathsep.join(str(path) for path in self.libraries)
        surroundings = {"LD_LIBRARY_PATH": places, "ESPEAK_DATA_PATH": str(self.data), "PATH": "/usr/bin:/bin"}
        ended = subprocess.run(command, capture_output=True, env=surroundings, check=False)
        if ended.returncode or len(ended.stdout) < 100:
            why = ended.stderr.decode(errors="replace").strip() or f"status {ended.returncode}"
            raise EarsightError(f"{command[0]} could not say '{text}' ({why})")
        return _trimmed(_decoded(ended.stdout))


def _decoded(wave: bytes) -> np.ndarray:
    """A WAV stream whose header may not know its length -> 16 kHz."""
    begin = wave.index(b"data") + 8
    rate = int.from_bytes(wave[24:28], "little")
    samples = np.frombuffer(wave[begin : begin + (len(wave) - begin) // 2 * 2], dtype="<i2").astype(np.float32) / 32768
    return soxr.resample(samples, rate, SAMPLE_RATE_HZ) if rate != SAMPLE_RATE_HZ else samples


def _trimmed(waveform: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(waveform) > SILENCE * np.abs(waveform).max(initial=1e-6))
    edge = int(EDGE_SECONDS * SAMPLE_RATE_HZ)
    return waveform[max(int(loud[0]) - edge, 0) : int(loud[-1]) + edge] if len(loud) else waveform


def to_wave(waveform: np.ndarray) -> bytes:
    """(samples,) at 16 kHz -> a WAV file's bytes."""
    held = io.BytesIO()
    soundfile.write(held, waveform, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return held.getvalue()
