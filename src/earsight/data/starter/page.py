"""A page to look at a built corpus and listen to it: every item with its terms, filtered by a few lines of script.

The page is one file; its pictures and sounds are links into the corpus' folder, relative to where the page lies.
"""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from earsight.data.starter.corpus import Corpus, Item
from earsight.data.starter.report import KINDS, SPLITS, ending, senses
from earsight.errors import EarsightError

STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 90rem; padding: 0 1rem 3rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; position: sticky; top: 0; z-index: 1;
  padding: .6rem 0; background: Canvas; border-bottom: 1px solid color-mix(in srgb, CanvasText 20%, transparent); }
select, input { font: inherit; padding: .15rem .3rem; }
output { margin-left: auto; font-variant-numeric: tabular-nums; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: .8rem; margin-top: 1rem; }
figure { margin: 0; padding: .6rem; border: 1px solid color-mix(in srgb, CanvasText 15%, transparent);
  border-radius: .5rem; display: flex; flex-direction: column; gap: .4rem; min-width: 0;
  content-visibility: auto; contain-intrinsic-size: auto 16rem; }
figure[hidden] { display: none; }
figure img { width: 100%; height: 9rem; object-fit: contain; background: #d5d8dc; border-radius: .3rem; }
figure audio { width: 100%; height: 2.2rem; }
figcaption b { display: block; }
figcaption small { display: block; opacity: .75; overflow-wrap: anywhere; }
.file { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.side { font-weight: 600; } .train { color: #1f7a3d; } .val, .val_known { color: #a56a00; }
.test, .test_known { color: #b3261e; }
.summary { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
SCRIPT = """
const cards = [...document.querySelectorAll("figure")], fields = [...document.querySelectorAll("select")];
const words = document.querySelector("input"), shown = document.querySelector("output");
function show() {
  const wanted = words.value.toLowerCase();
  let n = 0;
  for (const card of cards) {
    const fits = fields.every(field => !field.value || card.dataset[field.name] === field.value)
      && card.textContent.toLowerCase().includes(wanted);
    card.hidden = !fits;
    n += fits;
  }
  shown.value = `${n.toLocaleString("en")} of ${cards.length.toLocaleString("en")}`;
}
document.querySelector("form").addEventListener("input", show);
show();
"""


def write_page(corpus: Corpus, file: Path) -> None:
    """Write the page.

    Raises:
        EarsightError: it cannot be written there.
    """
    begin = quote(os.path.relpath(corpus.folder.resolve(), file.resolve().parent))
    cards = [_card(sense, item, begin) for sense, items in senses(corpus).items() for item in items]
    kinds = dict.fromkeys(kind for some in KINDS.values() for kind in some)
    filters = [
        _filter("sense", list(KINDS)),
        _filter("kind", list(kinds)),
        _filter("split", SPLITS),
        _filter("tier", sorted({item.tier for items in senses(corpus).values() for item in items})),
        _filter("source", sorted({item.source for items in senses(corpus).values() for item in items})),
    ]
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The starter corpus</title><style>{STYLE}</style>
<h1>The starter corpus</h1>
<p class="summary">{escape(chr(10).join(ending(corpus)[:-1]))}</p>
<form onsubmit="return false">{" ".join(filters)} <input type="search" placeholder="any word"
  aria-label="any word"> <output></output></form>
<main>
{chr(10).join(cards)}
</main>
<script>{SCRIPT}</script></html>
"""
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EarsightError(f"{file}: cannot be written ({error.strerror or error})") from error


def _filter(name: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(value.replace("_", " "))}</option>' for value in values)
    return f'<label>{name} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _card(sense: str, item: Item, begin: str) -> str:
    address = f"{begin}/{quote(item.path.relative_to(item.path.parent.parent).as_posix())}"
    medium = (
        f'<img loading="lazy" src="{address}" alt="{escape(item.name)}">'
        if sense == "picture"
        else f'<audio controls preload="none" src="{address}"></audio>'
    )
    data = {"sense": sense, "kind": item.kind, "split": item.split, "tier": item.tier, "source": item.source}
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    author = escape(item.author)
    if item.address.startswith(("http://", "https://")):
        author = f'<a href="{escape(item.address)}">{author}</a>'
    return (
        f"<figure {attributes}>{medium}<figcaption><b>{escape(item.name)}</b>"
        f'<small>{escape(item.kind)} · <span class="side {item.split}">{item.split.replace("_", " ")}</span></small>'
        f"<small>{' · '.join(part for part in (author, escape(item.licence)) if part)}</small>"
        f'<small class="file" title="{escape(item.file)}">{escape(item.source)}<br>{escape(item.file)}</small>'
        "</figcaption></figure>"
    )
