"""Encoders, a connector, a language model: the one model class of all systems.

encode   pixel_values, log_mel -> features of each stream on the media's time grid     (frozen)
connect  features -> soft tokens                                                       (trained)
splice   soft tokens replace the embeddings of the placeholder ids
generate Transformers' own
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Cache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from earsight.connectors.windows import place_on_steps
from earsight.model.configuration import EarsightConfig
from earsight.types import Features, SoftTokens

MEDIA_INPUTS = (
    "pixel_values",  # (n_frames, 3, size, size) float, frames of all media one after the other
    "frame_medium",  # (n_frames,) which medium a frame belongs to, in the order of their slots
    "frame_step",  # (n_frames,) which step of its time grid
    "log_mel",  # (n_chunks, n_mels, time)
    "chunk_medium",  # (n_chunks,)
    "chunk_step",  # (n_chunks,) the step at which the chunk begins
    "sound_mask",  # (n_media, steps, positions) bool, where there is sound
    "media_steps",  # (n_media,) length of each medium in steps
)
FEATURE_INPUTS = ("vision_features", "vision_mask", "speech_features", "sound_features")  # encoded beforehand


class EarsightForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """An audio-visual large language model as its configuration's system describes it."""

    config_class = EarsightConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("text", "image", "audio", "video")
    _supports_sdpa = True
    _supports_cache_class = True
    _no_split_modules = ["LlamaDecoderLayer"]
    # Frozen encoders and the connector are small: they keep full precision when the language model is in bfloat16.
    _keep_in_fp32_modules = ["encoders", "connector"]
    _keep_in_fp32_modules_strict = ["encoders", "connector"]
    _tied_weights_keys = {"language_model.lm_head.weight": "language_model.model.embed_tokens.weight"}

    def __init__(self, config: EarsightConfig) -> None:
        super().__init__(config)
        self.description = config.description
        parts = self.description.encoders
        self.encoders = nn.ModuleDict({name: part.build() for name, part in parts.items()})
        dims = {stream: dim for part in parts.values() for stream, dim in part.dims.items()}
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.connector = self.description.connector.build(dims, config.get_text_config().hidden_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Parts initialise themselves when they are built; nothing is drawn anew here."""

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    @torch.no_grad()
    def encode(self, media_steps: Tensor, sound_mask: Tensor, **media: Any) -> dict[str, Features]:
        """Run the frozen encoders: MEDIA_INPUTS -> {stream: (n_media, steps, positions, dim)}."""
        connector = self.description.connector
        shape = (len(media_steps), int(media_steps.max()))
        rate = connector.positions / connector.step_seconds
        features: dict[str, Features] = {}
        if (pixels := media.get("pixel_values")) is not None and len(pixels):
            tokens = self.encoders["vision"](pixels)  # (n_frames, positions, dim)
            values, mask = place_on_steps(tokens, media["frame_medium"], media["frame_step"], shape)
            features["vision"] = Features(values, mask[..., None].expand(values.shape[:3]), 1 / connector.step_seconds)
        if (log_mel := media.get("log_mel")) is not None and len(log_mel):
            for stream, values in self.encoders["audio"](log_mel).items():
                grid = self._chunks_on_steps(values, media["chunk_medium"], media["chunk_step"], shape)
                features[stream] = Features(grid * sound_mask.unsqueeze(-1), sound_mask, rate)
        return features

    def _chunks_on_steps(self, values: Tensor, medium: Tensor, first_step: Tensor, shape: tuple[int, int]) -> Tensor:
        """(n_chunks, time, dim) -> (n_media, steps, positions, dim); what lies beyond a medium's end is dropped."""
        steps = values.unflatten(
            1, (-1, self.description.connector.positions)
        )  # (n_chunks, chunk_steps, positions, dim)
        chunk_steps = steps.shape[1]
        step = (first_step[:, None] + torch.arange(chunk_steps, device=values.device)).flatten()
        medium = medium.repeat_interleave(chunk_steps)
        inside = step < shape[1]
        return place_on_steps(steps.flatten(0, 1)[inside], medium[inside], step[inside], shape)[0]

    def connect(self, features: Mapping[str, Features], media_steps: Tensor) -> SoftTokens:
        """{stream: (n_media, steps, positions, dim)} -> (n_media, n_tokens, llm_dim)."""
        return self.connector(features, media_steps)

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
        if soft_tokens is None:
            return embeds
        return embeds.masked_scatter(slots.unsqueeze(-1), soft_tokens.to(embeds.dtype))

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

        Media come as MEDIA_INPUTS, as features encoded beforehand (FEATURE_INPUTS), or as soft tokens
        (batch, n_tokens, llm_dim) with their mask.
        """
        media = {name: kwargs.pop(name, None) for name in (*MEDIA_INPUTS, *FEATURE_INPUTS)}
        if inputs_embeds is None:
            flat = None
            if soft_tokens is not None:
                flat = soft_tokens[soft_token_mask]
            elif media["media_steps"] is not None:
                made = self.soft_tokens(media)
                flat = made.values[made.mask]
            assert input_ids is not None, "either input_ids or inputs_embeds"
            inputs_embeds = self.splice(input_ids, flat)
        kwargs.pop("token_type_ids", None)
        if labels is not None and self.training:
            return self._answer_loss(inputs_embeds, attention_mask, labels, kwargs.get("num_items_in_batch"))
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            labels=labels,
            past_key_values=past_key_values,
            **kwargs,
        )

    def _answer_loss(
        self, inputs_embeds: Tensor, attention_mask: Tensor | None, labels: Tensor, n_items: Tensor | int | None
    ) -> CausalLMOutputWithPast:
        """The same loss as with all logits, from those of labelled positions only: a prompt's are most of the work."""
        hidden = self.language_model.base_model(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        told = labels[:, 1:] != -100
        logits = self.language_model.lm_head(hidden[:, :-1][told]).float()
        total = nn.functional.cross_entropy(logits, labels[:, 1:][told], reduction="sum")
        return CausalLMOutputWithPast(loss=total / (told.sum() if n_items is None else n_items))

    def soft_tokens(self, media: Mapping[str, Any]) -> SoftTokens:
        steps, sound_mask = media["media_steps"], media["sound_mask"]
        assert steps is not None and sound_mask is not None, "media_steps and sound_mask come together"
        if media["vision_features"] is None and media["speech_features"] is None:
            raw = {name: media[name] for name in MEDIA_INPUTS if name not in ("media_steps", "sound_mask")}
            return self.connect(self.encode(steps, sound_mask, **raw), steps)
        masks = {"vision": media["vision_mask"], "speech": sound_mask, "sound": sound_mask}
        rate = self.description.connector.positions / self.description.connector.step_seconds
        given = {name: media[f"{name}_features"] for name in masks}
        features = {
            name: Features(values.float(), masks[name], rate) for name, values in given.items() if values is not None
        }
        return self.connect(features, steps)

    @torch.no_grad()
    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """Transformers' generate. Media are encoded and connected once, before it, whatever the number of beams."""
        media = {name: kwargs.pop(name, None) for name in (*MEDIA_INPUTS, *FEATURE_INPUTS)}
        if media["media_steps"] is not None:
            ids = kwargs["input_ids"] if inputs is None else inputs
            made = self.soft_tokens(media)
            kwargs["soft_tokens"], kwargs["soft_token_mask"] = self.by_row(ids, made.values[made.mask])
        return super().generate(inputs, **kwargs)

    def by_row(self, input_ids: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Give each row of a batch its soft tokens: (n_tokens, llm_dim) -> (batch, most, llm_dim) and their mask."""
        counts = (input_ids == self.config.media_token_id).sum(1)
        if int(counts.sum()) != len(flat):
            self.splice(input_ids, flat)  # raises with both numbers
        mask = torch.arange(int(counts.max()), device=flat.device)[None] < counts[:, None]
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
