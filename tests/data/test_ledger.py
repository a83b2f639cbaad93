"""Every sample is counted by source and outcome; too many lost ones end a run."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from earsight.data.ledger import CUT, Ledger
from earsight.errors import EarsightError


def filled(used=90, skipped=8, damaged=2, **options):
    ledger = Ledger(**options)
    ledger.note("books", count=used)
    ledger.note("books", "no such file", count=skipped)
    ledger.note("clips", "damaged beyond use (InvalidDataError)", count=damaged)
    ledger.note("books", CUT, count=3)
    return ledger


def test_outcomes_follow_from_the_reason_or_are_given():
    ledger = filled()
    ledger.note("clips", "longer than 60 s", "truncated")
    assert [ledger.total(one) for one in ("used", "skipped", "damaged", "truncated")] == [90, 8, 2, 4]
    assert ledger.to_json()["sources"] == {
        "books": {"used": {"": 90}, "skipped": {"no such file": 8}, "truncated": {CUT: 3}},
        "clips": {"damaged": {"damaged beyond use (InvalidDataError)": 2}, "truncated": {"longer than 60 s": 1}},
    }


def test_a_truncated_sample_is_not_a_lost_one():
    assert filled().skip_rate == pytest.approx(0.1)
    assert filled(skipped=0, damaged=0).skip_rate == 0


def test_above_the_rate_the_run_ends_and_says_what_was_lost_and_why():
    with pytest.raises(EarsightError) as ended:
        filled(max_skip_rate=0.09).check()
    assert str(ended.value) == (
        "10 of 100 samples could not be used, over max_skip_rate 0.09: 8 x books: no such file; "
        "2 x clips: damaged beyond use (InvalidDataError)"
    )


def test_at_the_rate_without_one_or_before_enough_samples_the_run_goes_on():
    filled(max_skip_rate=0.1).check()
    filled().check()
    filled(used=0, max_skip_rate=0.0, least_samples=11).check()
    Ledger(0.0, least_samples=0).check()


def test_with_no_loss_allowed_one_is_enough():
    ledger = Ledger(0.0)
    ledger.note("books", count=99)
    ledger.check()
    ledger.note("books", "no such file")
    with pytest.raises(EarsightError, match="1 of 100 samples"):
        ledger.check()


def test_of_many_reasons_the_commonest_are_told():
    ledger = Ledger(0.01)
    for number in range(120):
        ledger.note("books", f"reason {number % 9}", count=1 + (number % 9 == 4))
    with pytest.raises(EarsightError, match=r"26 x books: reason 4; .*; and 4 other reasons"):
        ledger.check()


def test_ledgers_of_processes_merge_by_value_or_as_json():
    whole, parts = filled(max_skip_rate=0.5), [filled(), filled(used=1)]
    whole.merge(pickle.loads(pickle.dumps(parts[0])))
    whole.merge(json.loads(json.dumps(parts[1].to_json())))
    assert [whole.total(one) for one in ("used", "skipped", "damaged", "truncated")] == [181, 24, 6, 9]
    assert whole.max_skip_rate == 0.5


def test_threads_share_one_ledger():
    ledger = Ledger()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: [ledger.note(f"{number % 3}", "gone") for _ in range(500)], range(16)))
    assert ledger.total("skipped") == 8000


def test_it_is_written_beside_the_run_and_read_when_that_goes_on(tmp_path):
    file = tmp_path / "run" / "ledger.json"
    ledger = filled(max_skip_rate=0.5)
    ledger.note("b\u00fccher", "\udce9.wav: not a media file")
    ledger.write(file)
    assert Ledger.read(file).to_json() == ledger.to_json() == json.loads(file.read_text())
    assert [one.name for one in file.parent.iterdir()] == ["ledger.json"]


def test_a_ledger_that_cannot_be_read_or_written_is_one_clear_error(tmp_path):
    (tmp_path / "ledger.json").write_text("[1]")
    with pytest.raises(EarsightError, match="ledger.json: not a ledger of a run"):
        Ledger.read(tmp_path / "ledger.json")
    with pytest.raises(EarsightError, match="cannot be written"):
        filled().write(tmp_path / "ledger.json" / "below.json")
