"""What calls return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lossd.arrays import Array


class LossAndGradient(NamedTuple):
    """What the methods named like a loss return.

    Attributes:
        loss: a float; with reduction NONE the array of the rows' losses.
        gradient: d loss / d predictions, shape of the predictions.
    """

    loss: float | Array
    gradient: Array


@dataclass(frozen=True)
class Result:
    """All that lossd says of one loss; see LossResult in loss_service.proto.

    Arrays are the caller's own: writable, and nobody else writes to them. They
    are torch tensors where the predictions are, else numpy arrays. Where the
    predictions lie in an arena, so do they as far as there was room, and keep
    their bytes as long as they, or views of them, are there.

    Attributes:
        loss: the loss; NaN with reduction NONE, 0 when no row counts (NaN for
            means with semantics PYTORCH).
        loss_sum: sum over the rows that count of weight times row loss.
        weight_sum: sum over the rows that count of the weights.
        normalizer: the divisor: loss = loss_sum / normalizer.
        row_count: rows that count: neither masked nor ignored.
        masked_count: rows left out because of the mask.
        ignored_count: rows left out because of ignore_index.
        clipped_count: elements whose value was clipped.
        gradient: d loss / d predictions, times upstream_gradient, in their
            shape and dtype; None if not asked for.
        row_losses: weight times loss of each row, float64; None if not asked
            for.
        extra_gradients: gradients of extra inputs that have one, by name; with
            the gradient.
        diagnostics: figures by name.
        warnings: what looks wrong without being an error, for people.
        loss_name: the full name of the loss.
        options: its options as they were in force, defaults filled in.
        reduction: the reduction that was in force: "MEAN".
        semantics: the semantics that was in force: "STRICT".
        numerics_version: equal ones mean equal bits for equal requests.
    """

    loss: float
    loss_sum: float
    weight_sum: float
    normalizer: float
    row_count: int
    masked_count: int
    ignored_count: int
    clipped_count: int
    gradient: Array | None
    row_losses: Array | None
    extra_gradients: dict[str, Array]
    diagnostics: dict[str, float]
    warnings: tuple[str, ...]
    loss_name: str
    options: dict[str, Any]
    reduction: str
    semantics: str
    numerics_version: str = field(repr=False)

    def loss_and_gradient(self) -> LossAndGradient:
        """Both; with reduction NONE the rows' losses are the loss."""
        loss = self.row_losses if self.reduction == "NONE" else self.loss
        return LossAndGradient(loss, self.gradient)
