"""`earsight systems` and `earsight plan`: which systems there are, what one is made of and what it takes."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from earsight.checkpoints.plan import Plan

Name = Annotated[str, typer.Argument(metavar="SYSTEM[/VARIANT]", help="For example salmonn/13b; see earsight systems.")]
Settings = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Settings, such as connector.n_queries=2.")
]


def systems() -> None:
    """List the systems there are: what each perceives, its variants, its language model and what absence means."""
    from earsight import systems as listing

    for name in listing.names():
        described = listing.get(name)
        senses = " and ".join(described.senses)
        absent = getattr(described.connector, "absent", "drop")
        print(f"{name.replace('_', '-'):<15}{senses:<19}absent sense: {absent}")
        for variant in listing.variants(name):
            one = listing.get(f"{name}/{variant}")
            parts = ", ".join(
                f"{key} {type(part).__name__.removesuffix('Config')}" for key, part in one.encoders.items()
            )
            sizes = one.language_model
            model = f"{sizes.get('num_hidden_layers', '?')} layers of {sizes.get('hidden_size', '?')}"
            print(f"  {name.replace('_', '-')}/{variant:<10} {parts}; language model {model}")


def plan(
    system: Name,
    settings: Settings = None,
    clip_seconds: Annotated[float, typer.Option(help="A clip of this length.", min=0.1)] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parameters of each part, what is trained, a clip's soft tokens, memory by dtype. No weight is read or made."""
    from earsight.checkpoints.plan import plan as make
    from earsight.checkpoints.pretrained import resolved

    made = make(system, resolved(settings or [], system)[0], clip_seconds)
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(made) | {"parameters": made.parameters, "trained": made.trained}))
        return
    print("\n".join(lines(made)))


def lines(made: "Plan") -> list[str]:
    """A plan as a table."""
    rows = [f"{'':<24}{'parameters':>16}{'trained':>14}"]
    rows += [f"{part.name:<24}{part.parameters:>16,}{part.trained:>14,}" for part in made.parts]
    rows.append(f"{'all':<24}{made.parameters:>16,}{made.trained:>14,}")
    room = made.context_tokens - made.soft_tokens
    rows += [
        "",
        f"a clip of {made.clip_seconds:g} s: {made.soft_tokens:,} soft tokens of {made.context_tokens:,}, "
        f"{max(room, 0):,} left for words",
    ]
    if made.longest_seconds is None:
        rows.append("longest clip: any; a longer one is sampled more thinly")
    else:
        rows.append(
            f"longest clip: {made.longest_seconds:,.0f} s; of a longer one the answer says that the rest was left out"
        )
    if not made.fits:
        rows.append(f"this clip does not fit: only its first {made.longest_seconds:g} s would be used")
    cache = made.cache_bytes_a_token * made.context_tokens / 2**30
    rows += ["", "memory for weights, by the language model's numbers"]
    rows += [f"  {name:<10}{gib:>8.2f} GiB" for name, gib in made.memory.items()]
    rows.append(f"  and at most {cache:.2f} GiB for the cache of one conversation (bfloat16)")
    return rows
