"""What a table of ablations is made of: groups of variants, and what is measured of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earsight.evaluation.conditions import FULL


@dataclass(frozen=True)
class Measure:
    """An ability of the benchmark, and the paper's column beside it."""

    ability: str
    column: str = ""  # "": the paper has none like it
    lower_is_better: bool = False  # in the paper's column


@dataclass(frozen=True)
class Variant:
    """One row: a training with some settings changed, or another use of a model that was trained."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tiny: Mapping[str, Any] | None = None  # in place of `settings` at the tiny scale, where sizes differ
    weights: str = ""  # "GROUP/VARIANT": not trained, reads what that one has learnt
    after: str = ""  # its stage, or STAGE/checkpoint-N, after which weights are read; "": the last
    lora_scale: float = 1.0
    condition: str = FULL
    against: str = ""  # the variant it is compared with; "": the group's first
    at: float | None = None  # its place on the group's axis
    paper: Mapping[str, float] = field(default_factory=dict)  # {column: number}
    # {column: 1 better, -1 worse, 0 no change}, where the paper tells only that
    says: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """One table or figure of a paper."""

    name: str
    title: str
    paper: str
    measures: tuple[Measure, ...]
    variants: tuple[Variant, ...]
    recipe: str = ""  # "": all variants read another group's weights
    sources: Mapping[str, float] = field(default_factory=dict)  # of the starter corpus, by weight
    settings: Mapping[str, Any] = field(default_factory=dict)  # of all its variants
    tiny: Mapping[str, Any] | None = None
    axis: str = ""  # what `at` counts: the group is a curve
    moved: str = ""  # the variant of which the paper finds that fewer replies stay than of the others
    tokens_alone: bool = False  # the connector's steps towards words alone; its tokens are read, nothing is asked
    notes: tuple[str, ...] = ()
