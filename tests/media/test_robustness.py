"""Damage and repetition: nothing but MediaError comes out, nothing is left behind."""

import os
import time

import generate
import numpy as np
import pytest

from earsight.errors import MediaError
from earsight.media import Sampling, load_clip, probe


@pytest.fixture(scope="module")
def zoo(folder):
    return generate.zoo(folder)


def test_every_kind_of_file_is_read(zoo):
    for kind, path in zoo.items():
        clip = load_clip(path)
        info = probe(path)
        assert clip.picture == "present" or clip.sound == "present", kind
        assert info.lines() and info.to_json()["container"], kind


def test_sixty_files_damaged_at_random_give_a_clip_or_one_line(zoo, folder):
    rng = np.random.default_rng(2024)
    paths = list(zoo.values())
    for number in range(60):
        whole = paths[number % len(paths)]
        spoilt = folder / f"spoilt{number}{whole.suffix}"
        spoilt.write_bytes(generate.damaged(whole.read_bytes(), rng))
        begun = time.monotonic()
        for use in (load_clip, probe):
            try:
                use(spoilt)
            except MediaError as error:
                assert "\n" not in str(error) and len(str(error)) < 500
        assert time.monotonic() - begun < 10, spoilt


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count handles and memory")
def test_a_hundred_clips_leave_no_handles_and_no_memory(zoo):
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    def megabytes() -> float:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def decode(n: int) -> None:
        for number in range(n):
            load_clip(list(zoo.values())[number % len(zoo)], Sampling(frames_per_second=5))

    decode(3 * len(zoo))  # first uses allocate for good
    before = handles(), megabytes()
    decode(100)
    assert handles() == before[0]
    assert megabytes() - before[1] < 15
