"""The Transformers-native classes, built from a system's description. `register()` makes the Auto classes know them."""


def register() -> None:
    """Let AutoConfig, AutoProcessor and AutoModelForMultimodalLM load Earsight folders. Safe to call again."""
    from transformers import AutoConfig, AutoModelForMultimodalLM, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES

    from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
    from earsight.model.configuration import EarsightConfig
    from earsight.model.processor import EarsightProcessor

    AutoConfig.register(EarsightConfig.model_type, EarsightConfig, exist_ok=True)
    AutoModelForMultimodalLM.register(EarsightConfig, EarsightForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(EarsightConfig, EarsightProcessor, exist_ok=True)
    # `transformers serve` decides what a model takes by its class's name in this table.
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES[EarsightConfig.model_type] = EarsightForConditionalGeneration.__name__
