"""`earsight corpus`: what is in a built corpus, the page of it, one clear line for what is wrong with status 2."""

import json
import re
from collections import namedtuple
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from earsight.data.starter import corpus, packages

USAGE = namedtuple("usage", "total used free")
ENTRIES = {
    "pictures": [("p1", "cow", "cow", "mammal", "train", "CC0-1.0"), ("p2", "cow", "calf", "mammal", "train", "GPL-2")],
    "sounds": [("s1", "cow", 'moo "<b>"', "mammal", "val_known", "CC BY-SA 3.0")],
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "the cache"))
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda path: USAGE(10**12, 0, 10**12))
    monkeypatch.setattr(corpus, "check_renderer", lambda: None)
    monkeypatch.setattr(corpus.Voices, "check_machine", lambda: None)
    return tmp_path


@pytest.fixture
def built(cache):
    """A corpus of three items as a build leaves it."""
    folder = corpus.folder_of()
    index = {"hash": "1" * 64, "tier": "gpl", "duplicates": [["a/b", "a/c"]], "content_hash": "2" * 64}
    index["damaged"] = [{"source": "scratch", "file": "Bad.wav", "reason": "Bad.wav cannot be read as a sound (no)"}]
    for sense, items in ENTRIES.items():
        (folder / sense).mkdir(parents=True)
        ending = "png" if sense == "pictures" else "wav"
        index[sense] = []
        for name, key, called, kind, split, licence in items:
            entry = {"id": name, "key": key, "name": called, "kind": kind, "split": split, "licence": licence}
            entry |= {"path": f"{sense}/{name}.{ending}", "source": "scratch", "file": f"{name}.gif", "author": "A & B"}
            index[sense].append(entry | {"address": "https://example.org/?a=1&b=2"})
            (folder / entry["path"]).write_bytes(b"medium")
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def one_line(err):
    (line,) = err.splitlines()
    assert line.startswith("earsight: error: ")
    return line


def test_a_built_corpus_is_counted_per_kind_licence_and_source(earsight, built):
    status, out, err = earsight("corpus", "show", "starter")
    assert (status, err) == (0, "")
    assert "| picture | mammal | 2 | 0 | 0 | 0 | 0 | 1 | 0 | 0 |" in out
    assert "| sound | mammal | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |" in out
    assert "| CC BY-SA 3.0 | share-alike | 0 | 1 |" in out
    assert f"| scratch | {packages.PACKAGES['scratch'].version} | 2 | 1 | CC BY-SA 3.0, CC0-1.0, GPL-2 |" in out
    assert "2 pictures of 1 objects, 1 sounds of 1 objects; 1 duplicates and 1 damaged files left out" in out
    assert "scratch/Bad.wav: Bad.wav cannot be read" in out and str(built) in out


def test_json_says_the_same(earsight, built):
    status, out, _ = earsight("corpus", "show", "starter", "--json")
    told = json.loads(out)
    assert status == 0 and told["tier"] == "gpl" and told["content_hash"] == "2" * 64
    (row,) = [row for row in told["counts"] if (row["sense"], row["kind"]) == ("sound", "mammal")]
    assert row["items"] == {"train": 0, "val": 0, "test": 0, "val_known": 1, "test_known": 0}
    assert [row["tier"] for row in told["licences"]] == ["open", "share-alike", "gpl"]
    assert told["damaged"] == [{"file": "scratch/Bad.wav", "reason": "Bad.wav cannot be read as a sound (no)"}]


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_shows_every_item_and_its_links_lead_to_files(earsight, built, cache):
    (cache / "pages").mkdir()
    file = cache / "pages" / "look.html"
    status, _, _ = earsight("corpus", "show", "starter", "--page", str(file))
    assert status == 0
    text = file.read_text()
    page = Page(text)
    links = [one["src"] for tag in ("img", "audio") for one in page.of(tag)]
    assert len(links) == 3 and all((file.parent / unquote(link)).read_bytes() == b"medium" for link in links)
    assert all(link.startswith("../the%20cache/corpus/") for link in links)
    data = {"data-sense": "sound", "data-kind": "mammal", "data-split": "val_known", "data-tier": "share-alike"}
    assert {**data, "data-source": "scratch"} in page.of("figure")
    assert [one["name"] for one in page.of("select")] == ["sense", "kind", "split", "tier", "source"]
    assert "moo &quot;&lt;b&gt;&quot;" in text and page.of("a")[0]["href"] == "https://example.org/?a=1&b=2"
    assert not re.findall(r'<(?:script|link|img|audio)[^>]+(?:src|href)="https?:', text)  # nothing from elsewhere


def test_a_page_that_cannot_be_written_is_one_line(earsight, built, cache):
    status, _, err = earsight("corpus", "show", "starter", "--page", str(cache / "none" / "look.html"))
    assert status == 2 and "cannot be written" in one_line(err)


@pytest.mark.parametrize("options", [(), ("--tier", "open")])
def test_what_is_not_built_is_told_with_the_command_that_builds_it(earsight, options):
    status, out, err = earsight("corpus", "show", "starter", *options)
    assert (status, out) == (2, "")
    assert f"`earsight corpus build {' '.join(('starter', *options))}` builds it" in one_line(err)


@pytest.mark.parametrize("command", ["build", "show"])
def test_unknown_names_are_met_with_the_nearest(earsight, command):
    for words, near in (
        (("startr",), "no corpus 'startr'; there are: starter; did you mean starter?"),
        (
            ("starter", "--tier", "opne"),
            "no licence tier 'opne'; there are: open, share-alike, gpl; did you mean open?",
        ),
    ):
        status, _, err = earsight("corpus", command, *words)
        assert status == 2 and near in one_line(err)
    status, _, err = earsight("corpus", "build", "starter", "--without", "speach")
    assert status == 2 and "did you mean speech?" in one_line(err)


def test_a_missing_package_is_named_with_what_builds_without_it(earsight, cache):
    status, _, err = earsight("corpus", "build", "starter", "--from", str(cache), "-q")
    assert status == 2 and "holds no flite_2.2-5_amd64.deb" in one_line(err) and "--without speech" in err
    status, _, err = earsight("corpus", "build", "starter", "--from", str(cache), "--without", "speech", "-q")
    assert status == 2 and "holds no tuxpaint-stamps-default_2022.06.04-1_all.deb" in one_line(err)
    assert err.endswith("without it these still build: --tier open, --tier share-alike\n")
    status, _, err = earsight("corpus", "build", "starter", "--from", str(cache / "none"), "--without", "speech", "-q")
    assert status == 2 and "no such folder" in one_line(err)


def test_too_little_disk_is_one_line_before_anything_is_fetched(earsight, cache, monkeypatch):
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda path: USAGE(10**12, 0, 10**9))
    monkeypatch.setattr(packages, "unpack", None)
    status, _, err = earsight("corpus", "build", "starter")
    assert status == 2
    free, wanted = re.search(r"([\d,]+) MB are free and ([\d,]+) MB are needed", one_line(err)).groups()
    assert free == "1,000" and 1_400 < int(wanted.replace(",", "")) < 1_700
    assert not (cache / "the cache").exists()


def test_a_build_that_is_there_is_only_told(earsight, built):
    status, out, _ = earsight("corpus", "build", "starter", "--without", "speech")
    assert status == 0 and "2 pictures of 1 objects" in out
