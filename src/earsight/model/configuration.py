"""What is stored with a checkpoint: the system's name, its values, the language model's configuration."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from earsight import systems


class EarsightConfig(PreTrainedConfig):
    """Configuration of any Earsight system.

    Attributes:
        system: name of a system, "salmonn/13b", which gives the component types.
        values: every number of that description, as plain types.
        text_config: the language model's own configuration.
        unmerged_lora: whether the weights hold the LoRA beside the language model, so that its scale can be chosen at
            run time; False where there is none, or where it was added to the language model's weights.
        media_token_id: the placeholder the processor writes, once for each soft token. It lies beyond the language
            model's vocabulary: it is never embedded and never generated.
    """

    model_type = "earsight"
    sub_configs = {"text_config": AutoConfig}

    system: str = "starter"
    values: dict | None = None
    text_config: dict | PreTrainedConfig | None = None
    media_token_id: int = 49152
    unmerged_lora: bool = False
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        described = systems.get(self.system, self.values)
        if self.text_config is None:
            self.text_config = dict(described.language_model)
        if isinstance(self.text_config, dict):
            kind = self.text_config.get("model_type", "llama")
            self.text_config = AutoConfig.for_model(**{**self.text_config, "model_type": kind})
        if self.values is None:
            self.values = described.values()
        assert isinstance(self.text_config, PreTrainedConfig)
        self.tie_word_embeddings = bool(self.text_config.tie_word_embeddings)
        super().__post_init__(**kwargs)

    @property
    def description(self) -> systems.System:
        """The system with this checkpoint's values."""
        return systems.get(self.system, self.values)

    def get_text_config(self, *args: Any, **kwargs: Any) -> PreTrainedConfig:
        return self.text_config
