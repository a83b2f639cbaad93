"""A Q-Former's sizes as Transformers takes them; each connector's config has them under the same names."""

from typing import Any


def qformer_sizes(config: Any, reads: int, **more: Any) -> Any:
    """Transformers' `Blip2QFormerConfig` of a connector whose queries read vectors of `reads` in every layer.

    Args:
        config: has `hidden`, `n_layers`, `n_heads` and `dropout`.
        reads: width of what is read.
        more: further settings, such as `intermediate_size`.
    """
    from transformers import Blip2QFormerConfig

    return Blip2QFormerConfig(
        hidden_size=config.hidden,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        cross_attention_frequency=1,
        encoder_hidden_size=reads,
        # BERT's 0.02 leaves a narrow, fresh Q-Former almost deaf to what it reads. Published ones are not fresh.
        initializer_range=config.hidden**-0.5,
        **more,
    )
