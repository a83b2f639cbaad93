"""The notice that lies beside trained weights: every source, licence and author of what they were trained on."""

from collections import defaultdict

from earsight.data.starter.corpus import Corpus, Item
from earsight.data.starter.packages import PACKAGES

SPEECH = {
    "wordnet-base": "example sentences that were spoken",
    "flite": "voices slt, rms, awb and kal16 (Carnegie Mellon University), which spoke them",
    "espeak-ng": "voices en-us, en-us+m3 and en-us+f2, which spoke them",
}


def notice(corpus: Corpus) -> str:
    """Text: by source its licences with their tiers, and the authors it names. Only the training side counts."""
    by_source: dict[str, list[Item]] = defaultdict(list)
    for item in (*corpus.pictures, *corpus.sounds):
        if item.split == "train":
            by_source[item.source].append(item)
    lines = [
        "The weights in this folder were trained on media from the Debian packages below, which are not part of it.",
        "Tiers: open (public domain, CC0, CC BY), share-alike (CC BY-SA, GFDL), gpl (the rest).",
        "",
    ]
    for source in sorted(by_source):
        items = by_source[source]
        licences = sorted({f"{item.licence} ({item.tier})" for item in items})
        authors = sorted({item.author for item in items} - {""})
        lines += [f"{source} {PACKAGES[source].version}: {len(items)} items", f"  licences: {'; '.join(licences)}"]
        lines += [f"  authors: {'; '.join(authors)}"] if authors else []
    lines += ["", "Speech, synthetic:"]
    lines += [f"  {name} {PACKAGES[name].version}: {what}" for name, what in SPEECH.items()]
    return "\n".join(lines) + "\n"
