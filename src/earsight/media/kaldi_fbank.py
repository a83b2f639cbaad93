"""Kaldi's log mel filterbank, as torchaudio's `compliance.kaldi.fbank` computes it, in plain torch.

BEATs and ImageBind were trained on these numbers, which differ from librosa's and Whisper's: the mean is taken out of
each frame, a frame is pre-emphasised by itself, frames are not centred, the logarithm has a floor. There is no dither.
"""

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Window = Literal["povey", "hann"]

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
FFT_POINTS = 512
PRE_EMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps


def n_frames(n_samples: int) -> int:
    """Frames that lie wholly inside so many samples; none of a sound shorter than one frame."""
    return max(0, 1 + (n_samples - FRAME_SAMPLES) // HOP_SAMPLES)


def fbank(
    waveform: Tensor, window: Window = "povey", n_mels: int = 128, low_hz: float = 20.0, high_hz: float = 8000.0
) -> Tensor:
    """Log energies of mel bands, float32.

    (samples,) or (batch, samples) at 16 kHz -> (..., n_frames(samples), n_mels)
    """
    waveform = waveform.float()
    if waveform.shape[-1] < FRAME_SAMPLES:
        return waveform.new_zeros(*waveform.shape[:-1], 0, n_mels)
    frames = waveform.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES)  # (..., n_frames, 400)
    frames = frames - frames.mean(-1, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)  # a frame's first sample stands before itself
    frames = (frames - PRE_EMPHASIS * before) * _window(window).to(waveform.device)
    # Modulus first, then square: torchaudio's order, which float32 does not forget.
    power = torch.fft.rfft(frames, n=FFT_POINTS).abs().square()  # (..., n_frames, 257)
    filters = _mel_filters(n_mels, low_hz, high_hz).to(waveform.device)
    return functional.linear(power, filters).clamp(min=FLOOR).log()


@lru_cache(maxsize=4)
@torch.inference_mode(False)  # what is kept must serve outside of it too
def _window(name: Window) -> Tensor:
    hann = torch.hann_window(FRAME_SAMPLES, periodic=False, dtype=torch.float32)
    return hann if name == "hann" else hann.pow(0.85)


@lru_cache(maxsize=4)
@torch.inference_mode(False)  # what is kept must serve outside of it too
def _mel_filters(n_mels: int, low_hz: float, high_hz: float) -> Tensor:
    """Triangles in mel, not in hertz: (n_mels, 257); the bin at half the sampling rate belongs to none."""
    low, high = _mel(low_hz), _mel(high_hz)
    step = (high - low) / (n_mels + 1)
    bands = torch.arange(n_mels)[:, None]
    left, middle, right = (low + (bands + at) * step for at in (0.0, 1.0, 2.0))
    hertz = SAMPLE_RATE_HZ / FFT_POINTS * torch.arange(FFT_POINTS // 2)
    mel = 1127.0 * (1.0 + hertz / 700.0).log()
    # Differences of rounded edges, not `step`: torchaudio's order, to its last bit.
    rising, falling = (mel - left) / (middle - left), (right - mel) / (right - middle)
    return functional.pad(torch.minimum(rising, falling).clamp(min=0), (0, 1))


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
