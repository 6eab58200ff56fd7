"""Keras' losses by Keras' names, computed by lossd.

A script changes its import, `from lossd.keras import losses`, and goes on:
the constructors and calls are those of keras.losses, and so are the values:
lossd computes with the semantics KERAS. Shapes that do not match and labels
that are no class raise lossd.InvalidArgument, where Keras computes something.

The values must exist when the loss is called: with the TensorFlow backend
compile with run_eagerly=True. The PyTorch backend always has them; JAX traces
its gradients, which cannot work here.

The server is the one of the environment's LOSSD_SERVER, else 127.0.0.1:50051;
use_client() sets another one.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy

from lossd.client import Client

_REDUCTIONS = {"sum_over_batch_size": "MEAN", "mean": "MEAN", "sum": "SUM",
               "mean_with_sample_weight": "WEIGHTED_MEAN", "none": "NONE",
               None: "NONE"}

_client: Client | None = None


def use_client(client: Client) -> None:
    """The client of all losses of this module from now on."""
    global _client
    _client = client


def _current_client() -> Client:
    if _client is None:
        use_client(Client())
    return _client


def _numbers(tensor: Any) -> numpy.ndarray:
    return numpy.asarray(keras.ops.convert_to_numpy(tensor))


def _to_rank(array: numpy.ndarray, rank: int) -> numpy.ndarray:
    """Without the last axis, or with one more, if that makes it of the rank."""
    if array.ndim == rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    if array.ndim == rank - 1:
        return array[..., None]
    return array


class _Loss:
    """What all losses here have in common; callable as keras.losses.Loss."""

    _loss: str
    _from_logits: bool | None = None

    def __init__(self, reduction: str | None = "sum_over_batch_size",
                 name: str | None = None, **options: Any):
        if reduction not in _REDUCTIONS:
            raise ValueError(f"reduction: got {reduction!r}, allowed is one of "
                             f"{', '.join(map(str, _REDUCTIONS))}")
        self.reduction = reduction
        self.name = name or self._loss
        self._options = options

    def __call__(self, y_true: Any, y_pred: Any,
                 sample_weight: Any = None) -> Any:
        """The loss of predictions, reduced; differentiable once, with respect
        to `y_pred`."""
        mask = getattr(y_pred, "_keras_mask", None)

        @keras.ops.custom_gradient
        def compute(predictions):
            loss, gradient = self._compute(_numbers(y_true),
                                           _numbers(predictions),
                                           sample_weight, mask)
            by_rows = loss.ndim > 0 and gradient.ndim > loss.ndim

            def scaled(*arguments, upstream=None):
                if upstream is None:
                    upstream, = arguments
                if by_rows:
                    upstream = keras.ops.expand_dims(upstream, -1)
                return keras.ops.multiply(
                    upstream, keras.ops.convert_to_tensor(gradient))

            return keras.ops.convert_to_tensor(loss), scaled

        return compute(y_pred)

    def _targets(self, targets, predictions):
        return _to_rank(targets, predictions.ndim)

    def _compute(self, targets, predictions, sample_weight, mask):
        keywords = dict(self._options)
        if self._from_logits is not None:
            keywords["prediction_kind"] = ("LOGITS" if self._from_logits
                                           else "PROBABILITIES")
        rows = predictions.shape[:-1] or predictions.shape
        if sample_weight is not None:
            weights = _numbers(sample_weight)
            if weights.ndim:
                weights = _to_rank(weights, len(rows))
            keywords["sample_weights"] = numpy.broadcast_to(weights, rows)
        if mask is not None:
            keywords["mask"] = numpy.broadcast_to(
                _to_rank(_numbers(mask), len(rows)), rows)
        result = _current_client().compute(
            self._loss, predictions, self._targets(targets, predictions),
            semantics="KERAS", reduction=_REDUCTIONS[self.reduction],
            **keywords)
        loss, gradient = result.loss_and_gradient()
        return numpy.asarray(loss, predictions.dtype), gradient


class MeanSquaredError(_Loss):
    """keras.losses.MeanSquaredError."""

    _loss = "mean_squared_error"


class MeanAbsoluteError(_Loss):
    """keras.losses.MeanAbsoluteError."""

    _loss = "mean_absolute_error"


class MeanSquaredLogarithmicError(_Loss):
    """keras.losses.MeanSquaredLogarithmicError."""

    _loss = "mean_squared_logarithmic_error"


class Huber(_Loss):
    """keras.losses.Huber."""

    _loss = "huber"

    def __init__(self, delta: float = 1.0,
                 reduction: str | None = "sum_over_batch_size",
                 name: str | None = None):
        super().__init__(reduction, name, delta=delta)


class Hinge(_Loss):
    """keras.losses.Hinge: labels -1 and 1, or 0 and 1."""

    _loss = "hinge"


class BinaryCrossentropy(_Loss):
    """keras.losses.BinaryCrossentropy."""

    _loss = "binary_cross_entropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0,
                 reduction: str | None = "sum_over_batch_size",
                 name: str | None = None):
        super().__init__(reduction, name, label_smoothing=label_smoothing)
        self._from_logits = from_logits


class CategoricalCrossentropy(_Loss):
    """keras.losses.CategoricalCrossentropy; classes on the last axis."""

    _loss = "categorical_cross_entropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0,
                 reduction: str | None = "sum_over_batch_size",
                 name: str | None = None):
        super().__init__(reduction, name, label_smoothing=label_smoothing)
        self._from_logits = from_logits


class SparseCategoricalCrossentropy(_Loss):
    """keras.losses.SparseCategoricalCrossentropy; classes on the last axis."""

    _loss = "sparse_categorical_cross_entropy"

    def __init__(self, from_logits: bool = False,
                 ignore_class: int | None = None,
                 reduction: str | None = "sum_over_batch_size",
                 name: str | None = None):
        super().__init__(reduction, name, ignore_index=ignore_class)
        self._from_logits = from_logits

    def _targets(self, targets, predictions):
        # Keras makes floats of labels on their way here.
        targets = _to_rank(targets, predictions.ndim - 1)
        labels = targets.astype("int64")
        return labels if numpy.array_equal(labels, targets) else targets


class KLDivergence(_Loss):
    """keras.losses.KLDivergence: of probabilities."""

    _loss = "kullback_leibler_divergence"
    _from_logits = False
