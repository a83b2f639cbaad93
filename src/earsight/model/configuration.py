"""What is stored with a checkpoint: the system's name, its values, the language model's configuration."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from earsight import systems


class EarsightConfig(PreTrainedConfig):
    """Configuration of any Earsight system.

    Attributes:
        system: name of a file in `earsight.systems`, which gives the component types.
        values: every number of that description, as plain types.
        text_config: the language model's own configuration.
        media_token_id: the placeholder the processor writes, once for each soft token. It lies beyond the language
            model's vocabulary: it is never embedded and never generated.
    """

    model_type = "earsight"
    sub_configs = {"text_config": AutoConfig}

    system: str = "starter"
    values: dict | None = None
    text_config: dict | PreTrainedConfig | None = None
    media_token_id: int = 49152
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.text_config, dict):
            kind = self.text_config.get("model_type", "llama")
            self.text_config = AutoConfig.for_model(**{**self.text_config, "model_type": kind})
        elif self.text_config is None:
            self.text_config = AutoConfig.for_model("llama")
        if self.values is None:
            self.values = systems.get(self.system).values()
        super().__post_init__(**kwargs)

    @property
    def description(self) -> systems.System:
        """The system with this checkpoint's values."""
        return systems.get(self.system, self.values)

    def get_text_config(self, *args: Any, **kwargs: Any) -> PreTrainedConfig:
        return self.text_config
