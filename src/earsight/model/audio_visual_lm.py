"""Encoders, a connector, a language model: the one model class of all systems.

encode   frames and pieces of sound -> features of each stream on its medium's time axis   (frozen)
connect  features (and the question) -> soft tokens                                        (trained)
splice   soft tokens replace the embeddings of the placeholder ids
generate Transformers' own
"""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Cache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from earsight.connectors.windows import place_on_steps, zeroed
from earsight.model import lora
from earsight.model.configuration import EarsightConfig
from earsight.model.media_inputs import feature_names, input_names, reads_question
from earsight.types import Features, SoftTokens


class EarsightForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """An audio-visual large language model as its configuration's system describes it."""

    config_class = EarsightConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("text", "image", "audio", "video")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_cache_class = True
    _no_split_modules = ["LlamaDecoderLayer"]

    def __init__(self, config: EarsightConfig) -> None:
        super().__init__(config)
        self.description = described = config.description
        self.media_inputs, self.feature_inputs = input_names(described), feature_names(described)
        self.reads_question = reads_question(described)
        self.encoders = nn.ModuleDict({name: part.build() for name, part in described.encoders.items()})
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.connector = described.connector.build(described.streams, config.get_text_config().hidden_size)
        if config.unmerged_lora:
            lora.add(self)
        if described.float32_encoders:
            self._keep_in_fp32_modules_strict = ["encoders", "connector"]
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Parts initialise themselves when they are built; nothing is drawn anew here."""

    def train(self, mode: bool = True) -> Self:
        """As torch's; frozen encoders keep their statistics and drop nothing out while the rest trains."""
        super().train(mode)
        for encoder in self.encoders.values():
            if not any(value.requires_grad for value in encoder.parameters()):
                encoder.eval()
        return self

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """As Transformers'; a LoRA that was merged for speed is taken apart first, so that nothing is lost."""
        lora.unmerge(self)
        super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def encode(self, media: Mapping[str, Any]) -> dict[str, Features]:
        """Run the frozen encoders: media inputs -> {stream: (n_media, time, ..., dim)}."""
        n_media = len(media["media_milliseconds"])
        features: dict[str, Features] = {}
        for name, encoder in self.encoders.items():
            values = media.get(f"{name}_values")
            if values is None or not len(values):
                continue
            place = (media[f"{name}_medium"], media[f"{name}_at"], media.get(f"{name}_hold"), n_media)
            for stream, rows in encoder(values, media[f"{name}_lengths"]).items():
                rate = rows.rate_hz or self._picture_rate(name)
                features[stream] = Features(*_on_media(rows, *place), rate)
        return self._after_sound_begins(features, media["sound_from"])

    def _picture_rate(self, name: str) -> float:
        described = self.description
        on_clock = described.n_frames is None and described.encoders[name].sense == "picture"
        return 1 / described.connector.step_seconds if on_clock else 0.0

    def _after_sound_begins(self, features: dict[str, Features], sound_from: Tensor) -> dict[str, Features]:
        """Sound that is late is not there before it begins."""
        if not bool((sound_from > 0).any()):
            return features
        heard = {s for e in self.description.encoders.values() if e.sense == "sound" for s in e.dims}
        for stream in heard & set(features):
            given = features[stream]
            first = (sound_from * given.rate_hz / 1000 + 1e-6).long()  # (n_media,)
            begun = torch.arange(given.mask.shape[1], device=first.device)[None] >= first[:, None]
            mask = given.mask & begun
            features[stream] = Features(zeroed(given.values, mask), mask, given.rate_hz)
        return features

    def connect(
        self,
        features: Mapping[str, Features],
        media_milliseconds: Tensor,
        instruction_ids: Tensor | None = None,
        instruction_mask: Tensor | None = None,
    ) -> SoftTokens:
        """{stream: (n_media, time, ..., dim)}, the question where it is read -> (n_media, n_tokens, llm_dim)."""
        if self.reads_question:
            features = self._read_question(features, instruction_ids, instruction_mask)
        dtype = next(self.connector.parameters()).dtype
        cast = {s: Features(f.values.to(dtype), f.mask, f.rate_hz) for s, f in features.items()}
        return self.connector(cast, media_milliseconds, self.encoders)

    @torch.no_grad()
    def _read_question(
        self, features: Mapping[str, Features], ids: Tensor | None, mask: Tensor | None
    ) -> dict[str, Features]:
        """Let the encoders that read the question look again, for what it asks about, frame by frame."""
        read = dict(features)
        for name, part in self.description.encoders.items():
            stream = next(iter(part.dims))
            if not getattr(part, "reads_question", False) or stream not in read:
                continue
            given = read[stream]
            medium, step = given.mask.nonzero(as_tuple=True)  # (n_frames,) both
            asked = (None, None) if ids is None or mask is None else (ids[medium], mask[medium])
            encoder: Any = self.encoders[name]
            tokens = encoder.read(_valid_rows(given.values, given.mask), *asked)  # (n_frames, positions, dim)
            values, mask = place_on_steps(tokens, medium, step, (given.mask.shape[0], given.mask.shape[1]))
            read[stream] = Features(values, mask, given.rate_hz)
        return read

    def splice(self, input_ids: Tensor, soft_tokens: Tensor | None) -> Tensor:
        """Embed ids, and put soft tokens, in order, where the placeholders are.

        (batch, length), (n_tokens, llm_dim) -> (batch, length, llm_dim)

        Raises:
            ValueError: the processor wrote another number of placeholders than the connector made soft tokens.
        """
        slots = input_ids == self.config.media_token_id
        n_slots, n_tokens = int(slots.sum()), 0 if soft_tokens is None else len(soft_tokens)
        if n_slots != n_tokens:
            raise ValueError(
                f"the prompt has {n_slots} media placeholders, the media make {n_tokens} soft tokens; "
                "prepare text and media in one call of the processor and do not truncate between"
            )
        embeds = self.get_input_embeddings()(input_ids.masked_fill(slots, 0))
        if soft_tokens is None or not n_tokens:
            return embeds
        return embeds.masked_scatter(slots.unsqueeze(-1), soft_tokens.to(embeds.device, embeds.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        soft_tokens: Tensor | None = None,
        soft_token_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> Any:
        """Next-token logits, and the loss when labels are given.

        Media come as `media_inputs`, as features encoded beforehand (`feature_inputs`), or as soft tokens
        (batch, n_tokens, llm_dim) with their mask.
        """
        media = {name: kwargs.pop(name, None) for name in (*self.media_inputs, *self.feature_inputs)}
        made: SoftTokens | None = None
        if inputs_embeds is None:
            flat = None
            if soft_tokens is not None:
                flat = soft_tokens[soft_token_mask]
            elif media["media_milliseconds"] is not None:
                made = self.soft_tokens(media)
                flat = made.values[made.mask]
            assert input_ids is not None, "either input_ids or inputs_embeds"
            inputs_embeds = self.splice(input_ids, flat)
        kwargs.pop("token_type_ids", None)
        loss_of_each = kwargs.pop("loss_of_each", False)
        if labels is not None and self.training:
            told = self._answer_loss(inputs_embeds, attention_mask, labels, kwargs, loss_of_each)
        else:
            told = self.language_model(
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                labels=labels,
                past_key_values=past_key_values,
                **kwargs,
            )
        if made is not None and made.losses:
            told["auxiliary_losses"] = {name: (value, made.averaged) for name, value in made.losses.items()}
        return told

    def _answer_loss(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None,
        labels: Tensor,
        kwargs: Mapping[str, Any],
        loss_of_each: bool = False,
    ) -> CausalLMOutputWithPast:
        """The same loss as with all logits, from those of labelled positions only: a prompt's are most of the work.

        With `loss_of_each` also `losses` (n_labelled,), without gradient, in the order of the labels.
        """
        hidden = self.language_model.base_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=kwargs.get("position_ids"),
            use_cache=False,
        ).last_hidden_state
        told, n_items = labels[:, 1:] != -100, kwargs.get("num_items_in_batch")
        logits = self.get_output_embeddings()(hidden[:, :-1][told]).float()
        losses = nn.functional.cross_entropy(logits, labels[:, 1:][told], reduction="none")
        made = CausalLMOutputWithPast(loss=losses.sum() / (told.sum() if n_items is None else n_items))
        if loss_of_each:
            made["losses"] = losses.detach()
        return made

    def soft_tokens(self, media: Mapping[str, Any]) -> SoftTokens:
        """Media inputs, or features encoded beforehand -> soft tokens of each medium."""
        question = (media.get("instruction_ids"), media.get("instruction_mask"))
        return self.connect(self.features_of(media), media["media_milliseconds"], *question)

    def features_of(self, media: Mapping[str, Any]) -> dict[str, Features]:
        """The features that were encoded beforehand, or else those of the media."""
        given = {s: media.get(f"{s}_features") for s in self.description.streams}
        if not any(values is not None for values in given.values()):
            return self.encode(media)
        rates = {s: e.rate_hz or self._picture_rate(n) for n, e in self.description.encoders.items() for s in e.dims}
        return {
            s: Features(values.float(), media[f"{s}_mask"], rates[s])
            for s, values in given.items()
            if values is not None
        }

    @torch.no_grad()
    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """Transformers' generate. Media are encoded and connected once, before it, whatever the number of beams."""
        media = {name: kwargs.pop(name, None) for name in (*self.media_inputs, *self.feature_inputs)}
        if media["media_milliseconds"] is not None:
            ids = kwargs["input_ids"] if inputs is None else inputs
            made = self.soft_tokens(media)
            kwargs["soft_tokens"], kwargs["soft_token_mask"] = self.by_row(ids, made.values[made.mask])
        return super().generate(inputs, **kwargs)

    def by_row(self, input_ids: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Give each row of a batch its soft tokens: (n_tokens, llm_dim) -> (batch, most, llm_dim) and their mask."""
        counts = (input_ids == self.config.media_token_id).sum(1)
        if int(counts.sum()) != len(flat):
            self.splice(input_ids, flat)  # raises with both numbers
        mask = torch.arange(int(counts.max()), device=flat.device)[None] < counts[:, None].to(flat.device)
        values = flat.new_zeros(*mask.shape, flat.shape[-1])
        values[mask] = flat
        return values, mask

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        soft_tokens: Tensor | None = None,
        soft_token_mask: Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        prepared = super().prepare_inputs_for_generation(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        ids = prepared.get("input_ids")
        # After the first step, or with the clip already in the cache, there is no slot left to fill.
        if soft_tokens is not None and ids is not None and bool((ids == self.config.media_token_id).any()):
            prepared["soft_tokens"], prepared["soft_token_mask"] = soft_tokens, soft_token_mask
        return prepared


def _on_media(rows: Features, medium: Tensor, at: Tensor, hold: Tensor | None, n_media: int) -> tuple[Tensor, Tensor]:
    """Rows of all media -> each medium's own time axis: (n_rows, time, ...) -> (n_media, longest, ...) and the mask."""
    values, valid = rows.values, rows.mask
    alone = len(values) == n_media and not bool(at.any()) and torch.equal(medium, torch.arange(n_media).to(medium))
    if alone and (hold is None or bool((hold == 1).all())):
        return values, valid  # one row a medium, from its beginning: nothing to place, nothing to copy
    if hold is not None and bool((hold != 1).any()):
        first = (hold.cumsum(0) - hold).repeat_interleave(hold)
        at = at.repeat_interleave(hold) + torch.arange(len(first), device=at.device) - first
        values, valid, medium = (one.repeat_interleave(hold, 0) for one in (values, valid, medium))
    steps = at[:, None] + torch.arange(values.shape[1], device=at.device)[None]  # (n_rows, time)
    longest = int(steps[valid].max()) + 1 if bool(valid.any()) else 0
    owners = medium[:, None].expand_as(steps)
    places = (owners * longest + steps).flatten()
    if bool(valid.all()) and torch.equal(places, torch.arange(n_media * longest, device=places.device)):
        return values.reshape(n_media, longest, *values.shape[2:]), valid.reshape(n_media, longest)  # in order already
    return place_on_steps(_valid_rows(values, valid), owners[valid], steps[valid], (n_media, longest))


def _valid_rows(values: Tensor, mask: Tensor) -> Tensor:
    """(rows, time, ...) -> (n_valid, ...), without a copy where everything is valid."""
    return values.flatten(0, 1) if bool(mask.all()) else values[mask]
