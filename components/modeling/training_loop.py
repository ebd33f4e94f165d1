"""The training loop, on features for the head and on images for fine-tuning: tf.function steps with GradientTape."""

import dataclasses
import functools
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.common.records import from_json
from components.contracts.training import CURVE_FILE, EpochResult, best_epoch
from components.modeling.hyperparameters import Hyperparameters
from components.storage.atomic import write_atomically

logger = logging.getLogger(__name__)
OptimizedVariables = tuple[tf.keras.optimizers.Optimizer, Sequence[tf.Variable]]


class TrainingLoop:
    """Trains a model and keeps the weights of its best epoch.

    Everything needed to resume after a kill is under `work_dir`: checkpoints, TensorBoard event files and the curve.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        hyperparameters: Hyperparameters,
        work_dir: str,
        strategy: tf.distribute.Strategy | None = None,
        *,
        optimizers: Sequence[OptimizedVariables] | None = None,
        label_smoothing: float = 0.0,
        scale_loss: bool = False,
        log_level: int = logging.INFO,
    ):
        """Prepares optimizers, metrics, summary writers and checkpoints below `work_dir`.

        The model maps inputs to logits float32 [N, C]. `strategy` distributes each batch over replicas. `optimizers`
        come with the variables they train; None is Adam on the whole model. Model and optimizers are created under the
        strategy's scope. `label_smoothing` applies to the training loss, not to the reported one. `scale_loss` is for
        float16 gradients, where small ones vanish.
        """
        self._model = model
        self._hyperparameters = hyperparameters
        self._strategy = strategy or tf.distribute.get_strategy()
        self._scale_loss, self._label_smoothing = scale_loss, label_smoothing
        self._log = functools.partial(logger.log, log_level)
        with self._strategy.scope():
            if optimizers is None:
                # The same updates as `tf.keras.optimizers.Adam`, as one fused operation per variable, not as a dozen.
                adam = tf.keras.optimizers.legacy.Adam
                optimizers = [(adam(hyperparameters.learning_rate), model.trainable_variables)]
            scaled = tf.keras.mixed_precision.LossScaleOptimizer if scale_loss else lambda optimizer: optimizer
            self._optimizers = [(scaled(optimizer), list(variables)) for optimizer, variables in optimizers]
            self._metrics = {split: _StreamingMetrics() for split in ("train", "validation")}
        self._step, self._epoch = (tf.Variable(0, False, dtype=tf.int64, name=name) for name in ("step", "epoch"))
        self._logs, self._curve_file = (Path(work_dir) / name for name in ("logs", CURVE_FILE))
        self._writers = {split: tf.summary.create_file_writer(str(self._logs / split)) for split in self._metrics}
        optimized = [optimizer for optimizer, _ in self._optimizers]
        state = tf.train.Checkpoint(model=model, optimizers=optimized, step=self._step, epoch=self._epoch)
        self._latest = tf.train.CheckpointManager(state, f"{work_dir}/latest", max_to_keep=1)
        self._best = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), f"{work_dir}/best", max_to_keep=1)
        self._compiled: dict[Callable[[tf.Tensor, tf.Tensor], None], Callable[[Any], None]] = {}

    def fit(
        self, train_batches: Callable[[int], tf.data.Dataset], validation_batches: tf.data.Dataset
    ) -> list[EpochResult]:
        """Trains until the last epoch or until validation accuracy stops rising, then restores the best epoch.

        Batches are (inputs, int64 labels [N]); `train_batches` takes an epoch's number, counted from 0. Returns the
        training curve, epochs before an interruption included.
        """
        curve = self._restore_or_initialize()
        while int(self._epoch) < self._hyperparameters.epochs and not self._should_stop(curve):
            curve.append(self._run_epoch(int(self._epoch), train_batches, validation_batches))
            self._save(curve)
        self._best.restore_or_initialize()
        for writer in self._writers.values():
            writer.close()
        return curve

    def validate(self, batches: tf.data.Dataset) -> tuple[float, float]:
        """Returns the model's mean loss and accuracy over the batches of (inputs, int64 labels [N])."""
        self._metrics["validation"].reset()
        for _ in self._run(self._validation_step, batches):
            pass
        return self._metrics["validation"].results()

    def seconds_per_step(self, batches: tf.data.Dataset, steps: int) -> float:
        """Trains for a few steps and returns their mean time; the first, which compiles, does not count."""
        ends = [time.monotonic() for _ in self._run(self._train_step, batches.repeat().take(steps + 1))]
        return (ends[-1] - ends[0]) / steps

    def _restore_or_initialize(self) -> list[EpochResult]:
        if not self._latest.restore_or_initialize():
            return []
        curve = from_json(list[EpochResult], json.loads(self._curve_file.read_text()))
        logger.info("Training resumes after epoch %d of %d", int(self._epoch), self._hyperparameters.epochs)
        # Written before the checkpoint: after a kill in between, that epoch runs again.
        return curve[: int(self._epoch)]

    def _save(self, curve: list[EpochResult]) -> None:
        if best_epoch(curve) == len(curve) - 1:
            self._best.save(checkpoint_number=len(curve))
        write_atomically(self._curve_file, json.dumps([dataclasses.asdict(result) for result in curve]))
        self._epoch.assign_add(1)
        self._latest.save(checkpoint_number=self._epoch)

    def _should_stop(self, curve: list[EpochResult]) -> bool:
        patience = self._hyperparameters.early_stopping_patience
        stop = bool(patience and curve) and len(curve) - 1 - best_epoch(curve) >= patience
        if stop:
            self._log("No better validation accuracy in %d epoch(s): training stops early", patience)
        return stop

    def _run_epoch(
        self, epoch: int, train: Callable[[int], tf.data.Dataset], validation: tf.data.Dataset
    ) -> EpochResult:
        self._metrics["train"].reset()
        for _ in self._run(self._train_step, train(epoch)):
            self._step.assign_add(1)
            if int(self._step) % self._hyperparameters.log_every_steps == 0:
                self._report_step(epoch)
        loss, accuracy = self._metrics["train"].results()
        result = EpochResult(epoch + 1, loss, accuracy, *self.validate(validation))
        self._write_summaries("validation", result.validation_loss, result.validation_accuracy)
        self._log(
            "Epoch %d/%d: loss %.4f, accuracy %.4f, validation loss %.4f, validation accuracy %.4f",
            result.epoch, self._hyperparameters.epochs, loss, accuracy, result.validation_loss,
            result.validation_accuracy,
        )  # fmt: skip
        return result

    def _run(self, step: Callable[[tf.Tensor, tf.Tensor], None], batches: tf.data.Dataset) -> Iterator[None]:
        """Runs a step on every batch, its replicas side by side, and yields after each."""
        distributed = self._strategy.experimental_distribute_dataset(batches)
        if step not in self._compiled:
            # One trace for all sizes of batch; there is no Python control flow on tensors to convert.
            self._compiled[step] = tf.function(
                lambda batch: self._strategy.run(step, args=batch),
                input_signature=[distributed.element_spec],
                autograph=False,
            )
        for batch in distributed:
            self._compiled[step](batch)
            yield

    def _train_step(self, inputs: tf.Tensor, labels: tf.Tensor) -> None:
        # Of several optimizers the first one's scale is used; each still skips a step whose gradients are not finite.
        (first, _), *_ = self._optimizers
        with tf.GradientTape() as tape:
            logits = self._model(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            # Gradients are summed over replicas, so each divides by the whole batch: its mean, however it is split.
            batch = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.size(losses))
            loss = tf.reduce_sum(smoothed(losses, logits, self._label_smoothing)) / tf.cast(batch, losses.dtype)
            if self._model.losses:
                loss += tf.nn.scale_regularization_loss(tf.add_n(self._model.losses))
            target = first.get_scaled_loss(loss) if self._scale_loss else loss
        gradients = tape.gradient(target, [variable for _, variables in self._optimizers for variable in variables])
        if self._scale_loss:
            gradients = first.get_unscaled_gradients(gradients)
        remaining = iter(gradients)
        for optimizer, variables in self._optimizers:
            optimizer.apply_gradients([(next(remaining), variable) for variable in variables])
        self._metrics["train"].update(losses, labels, logits)

    def _validation_step(self, inputs: tf.Tensor, labels: tf.Tensor) -> None:
        logits = self._model(inputs, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        self._metrics["validation"].update(losses, labels, logits)

    def _report_step(self, epoch: int) -> None:
        loss, accuracy = self._metrics["train"].results()
        self._write_summaries("train", loss, accuracy)
        self._log("Epoch %d, step %d: loss %.4f, accuracy %.4f", epoch + 1, int(self._step), loss, accuracy)

    def _write_summaries(self, split: str, loss: float, accuracy: float) -> None:
        with self._writers[split].as_default(step=int(self._step)):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("accuracy", accuracy)


class _StreamingMetrics:
    """Mean loss and accuracy over the examples since the last reset, over all replicas; 0 without examples."""

    def __init__(self) -> None:
        self._loss = tf.keras.metrics.Mean()
        self._accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def reset(self) -> None:
        self._loss.reset_state()
        self._accuracy.reset_state()

    def update(self, losses: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor) -> None:
        self._loss.update_state(losses)
        self._accuracy.update_state(labels, logits)

    def results(self) -> tuple[float, float]:
        return float(self._loss.result()), float(self._accuracy.result())


def smoothed(losses: tf.Tensor, logits: tf.Tensor, share: float) -> tf.Tensor:
    """Spreads a share, in [0, 1), of each label's weight over all classes (Szegedy et al., arXiv:1512.00567).

    Maps cross-entropies float32 [N] and logits float32 [N, C] to the cross-entropies with smoothed labels, float32 [N].
    """
    if not share:
        return losses
    uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
    return (1 - share) * losses + share * uniform
