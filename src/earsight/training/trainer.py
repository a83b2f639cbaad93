"""Transformers' Trainer, with what a stage adds: auxiliary losses, losses by source and sense, samples in their order.

The main loss is normalised by the answer tokens of the whole accumulated batch over all processes (Transformers does
that, through `num_items_in_batch`); auxiliary losses are averaged over its passes, and in each of these over the
windows of all processes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import Trainer

from earsight.data.ledger import Ledger
from earsight.model.prompt_ids import IGNORED
from earsight.training.alignment import Words
from earsight.training.checkpoints import load_trained_parts, save_trained_parts
from earsight.training.freezing import nothing_of, part_of
from earsight.training.schedules import scale
from earsight.training.stages import Stage
from earsight.training.token_words import TokenWords

ABOUT = ("sources", "modalities")  # of each sample: what the losses are told apart by


class StageTrainer(Trainer):
    """One stage of a training."""

    def __init__(self, stage: Stage, words: Words | TokenWords | None = None, **arguments: Any) -> None:
        self.stage, self.words = stage, words
        self.parts: dict[str, list[float]] = defaultdict(list)  # losses by name since the last log
        super().__init__(**arguments)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW; weights of two or more axes decay, biases and norms do not (SALMONN's published optimiser)."""
        stage = self.stage
        groups = [
            {"params": values, "lr": rate, "weight_decay": decay}
            for (rate, decay), values in _groups(self.model, stage).items()
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=stage.betas, weight_decay=0.0)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        chosen = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, scale(self.stage))
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        # The mixture decides what stands where; a shuffle would undo its shares and hide where a run stopped.
        return SequentialSampler(train_dataset or self.train_dataset)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """What is trained and only that; where weights are sharded over processes, as Transformers does."""
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super().save_model(output_dir, _internal_call)
        elif self.args.should_save:
            save_trained_parts(self.accelerator.unwrap_model(self.model), Path(output_dir or self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # The counterpart of `save_model`; Transformers has no public place for it.
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_trained_parts(self.accelerator.unwrap_model(model or self.model), Path(resume_from_checkpoint))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        about = {name: inputs.pop(name, ()) for name in ABOUT}
        told = inputs.pop("words", ())
        if self.words is not None and told:
            with self._as_fast_as_the_language_model(model):
                loss, parts, auxiliary = self.words.loss(inputs, told)
            for name, value in parts.items():
                self.parts[name].append(value)
            return (loss + self._auxiliary(auxiliary)) / self.args.gradient_accumulation_steps
        alone = self.accelerator.num_processes == 1 and len(inputs["input_ids"])
        loss = torch.zeros((), device=self.args.device)
        if not alone:  # a process whose batch lacks a sense still takes part in every exchange
            loss = loss + nothing_of(model, self.args.device)
        made: Any = None
        if len(inputs["input_ids"]):
            made = model(**inputs, num_items_in_batch=num_items_in_batch, loss_of_each=True)
            loss = loss + made["loss"] * self._share(num_items_in_batch)
            self._tell_apart(made["losses"], inputs["labels"], about)
        more = self._auxiliary((made or {}).get("auxiliary_losses", {}))
        loss = loss + more / self.args.gradient_accumulation_steps
        return (loss, made) if return_outputs else loss

    def _as_fast_as_the_language_model(self, model: nn.Module) -> Any:
        """Matrix products in bfloat16 where the frozen weights are held in it: a connector alone would not."""
        half = next(self.accelerator.unwrap_model(model).language_model.parameters()).dtype == torch.bfloat16
        return torch.autocast(self.args.device.type, torch.bfloat16, enabled=half)

    def _auxiliary(self, losses: Mapping[str, tuple[Tensor, int]]) -> Tensor:
        """Their weighted sum; called in every process, with nothing where the batch is empty."""
        total = torch.zeros((), device=self.args.device)
        for name, weight in self.stage.losses.items():
            value, averaged = losses.get(name, (total.new_zeros(()), 0))
            if self.accelerator.num_processes > 1:
                # Processes average their gradients: a mean over few windows would count as much as one over many.
                everywhere = self.accelerator.gather(torch.tensor([float(averaged)], device=total.device))
                value = value * averaged / everywhere.mean().clamp(min=1e-6)
            if name in losses:
                self.parts[f"loss/{name}"].append(float(value.detach()))
            total = total + weight * value
        return total

    def _share(self, n_items: Any) -> float:
        """Processes average their gradients; the loss was divided by the tokens of all of them."""
        return float(self.accelerator.num_processes) if n_items is not None else 1.0

    def _tell_apart(self, losses: Tensor, labels: Tensor, about: Mapping[str, Any]) -> None:
        """Mean loss of a token, by source and by sense: (n_labelled,) in the order of the labels."""
        rows = (labels[:, 1:] != IGNORED).nonzero()[:, 0]
        sums = losses.new_zeros(len(labels)).index_add(0, rows, losses)
        means = (sums / rows.bincount(minlength=len(labels))).tolist()
        for names in about.values():
            for name, mean in zip(names, means, strict=True):
                self.parts[f"loss/{name}"].append(mean)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        means = {name: round(sum(values) / len(values), 6) for name, values in sorted(self.parts.items()) if values}
        self.parts.clear()
        super().log({**logs, **(means if "loss" in logs else {})}, *args, **kwargs)


def _groups(model: Any, stage: Stage) -> dict[tuple[float, float], list[nn.Parameter]]:
    """Trained parameters by learning rate and weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, value in _trained(model):
        rate = stage.rates.get(part_of(name), stage.learning_rate)
        groups[rate, stage.weight_decay if value.ndim >= 2 else 0.0].append(value)
    return groups


def _trained(model: Any) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, value) for name, value in model.named_parameters() if value.requires_grad)


class Collator:
    """Prepared samples to a batch; what could not be used goes to the ledger and leaves a gap."""

    def __init__(
        self, collate: Callable[[list[Any]], dict[str, Any]], ledger: Ledger, with_words: bool = False
    ) -> None:
        self.collate, self.ledger, self.with_words = collate, ledger, with_words

    def __call__(self, drawn: list[tuple[int, Any, str, str]]) -> dict[str, Any]:
        kept = []
        for _, sample, source, reason in drawn:
            if sample is None:
                self.ledger.note(source, reason)
                continue
            self.ledger.note(source)
            if reason:
                self.ledger.note(source, reason, "truncated")
            kept.append(sample)
        batch = self.collate(kept)
        return (
            batch
            | {"sources": [one.source for one in kept], "modalities": [one.modality for one in kept]}
            | ({"words": [one.words for one in kept]} if self.with_words else {})
        )
