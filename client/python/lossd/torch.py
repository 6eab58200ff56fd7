"""The losses of lossd as PyTorch modules."""

from __future__ import annotations

from typing import Any

import torch

from lossd.calls import full_name
from lossd.client import Client
from lossd.errors import NotFound
from lossd.step_arena import StepArena

# PyTorch has the classes on axis 1, lossd on the last one.
_CLASS_LOSSES = {"categorical_cross_entropy", "sparse_categorical_cross_entropy"}


class _Remote(torch.autograd.Function):
    """Loss and gradients in one call: backward only scales what forward got.

    Takes a function of whether gradients are wanted, then the predictions and
    the extra inputs that may have a gradient.
    """

    @staticmethod
    def forward(ctx, compute, names, predictions, *extras):
        wanted = any(ctx.needs_input_grad)
        result = compute(predictions, extras, ("gradient",) if wanted else ())
        if wanted:
            gradients = (result.gradient, *(
                result.extra_gradients.get(name) for name in names))
            ctx.save_for_backward(*(
                gradient if gradient is None
                else gradient.to(predictions.device)
                for gradient in gradients))
        loss = (result.row_losses if result.reduction == "NONE"
                else torch.tensor(result.loss, dtype=torch.float64))
        return loss.to(predictions.device, predictions.dtype)

    @staticmethod
    def backward(ctx, upstream):
        if torch.is_grad_enabled():
            # Not once_differentiable: it would let the gradient pass as a
            # constant.
            raise RuntimeError("lossd.torch.Loss can be differentiated once: "
                               "create_graph=True is not possible")
        if upstream.dim() == 0 and upstream.item() == 1:
            # As almost always, and then a pass over memory is spared. Who adds
            # to a gradient copies it first while ctx holds it, too.
            return None, None, *ctx.saved_tensors
        # A loss a row stands for the elements behind it.
        while 0 < upstream.dim() < ctx.saved_tensors[0].dim():
            upstream = upstream.unsqueeze(-1)
        return None, None, *(gradient if gradient is None
                             else gradient * upstream
                             for gradient in ctx.saved_tensors)


class Loss(torch.nn.Module):
    """A loss that lossd computes, with its gradient.

        criterion = lossd.torch.Loss("sparse_categorical_cross_entropy",
                                     prediction_kind="LOGITS")
        loss = criterion(logits, labels)
        loss.backward()

    The loss is a tensor of the predictions' dtype and device; where PyTorch
    has it too, equal to PyTorch's up to the rounding of PyTorch. For both
    cross-entropies the classes are axis 1 of predictions with more than two
    axes, as in torch.nn.CrossEntropyLoss. Other losses take the mean over the
    last axis as a row's loss, also with reduction="none"; semantics="PYTORCH"
    makes every element a row, as PyTorch does, and follows PyTorch in all else.
    Tensors of other devices are copied to the CPU and back. It can be
    differentiated once, with respect to the predictions and to the extra inputs
    that have a gradient.

    Args:
        loss: full name or short name: "huber", "mse".
        client: a lossd.Client, or its target. Unset: the environment's
            LOSSD_SERVER, else 127.0.0.1:50051.
        reduction: "mean", "sum", "none", "weighted_mean" or "batchmean".
        arena: whether predictions, targets and extra inputs go to lossd, and
            gradients come from it, through an arena that this makes at its
            first step and whenever a step does not fit; for a lossd on the
            same machine.
        keywords: the options of the loss, its class_weights and pos_weight,
            normalizer, semantics: as in lossd.Call.

    Raises:
        lossd.LossdError: from forward, when lossd refuses the input, cannot
            be reached, or has no arena that is asked for; TypeError and
            ValueError as lossd.Call.
    """

    def __init__(self, loss: str, client: Client | str | None = None,
                 reduction: str = "mean", arena: bool = False, **keywords: Any):
        super().__init__()
        self.loss = full_name(loss)
        self.client = client if isinstance(client, Client) else Client(client)
        self.reduction = reduction
        self.keywords = keywords
        self._arena = StepArena(self.client) if arena else None

    def extra_repr(self) -> str:
        """What is shown between the parentheses of its repr."""
        shown = {"reduction": self.reduction, **self.keywords}
        if self._arena is not None:
            shown["arena"] = True
        return ", ".join([f"{self.loss!r}", *(f"{name}={value!r}" for
                                              name, value in shown.items())])

    def forward(self, predictions: torch.Tensor,
                targets: torch.Tensor | None = None,
                sample_weights: torch.Tensor | None = None,
                mask: torch.Tensor | None = None,
                **extra_inputs: torch.Tensor) -> torch.Tensor:
        """The loss: a scalar, or with reduction "none" one element a row.

        Args:
            predictions: float tensor, rank at most 8.
            targets: as the loss says: see the method of lossd.Client.
            sample_weights: a weight for each row.
            mask: bool, which rows count.
            extra_inputs: the further tensors of the loss, by name; gradients
                flow back to those that have one.
        """
        if self.loss in _CLASS_LOSSES and predictions.dim() > 2:
            if targets.dim() == predictions.dim():
                targets = targets.movedim(1, -1)
            predictions = predictions.movedim(1, -1)
        names = tuple(extra_inputs)

        def compute(values, extras, outputs):
            return self._compute(
                [values, targets, *extras], names,
                sample_weights=sample_weights, mask=mask, outputs=outputs)

        return _Remote.apply(compute, names, predictions,
                             *extra_inputs.values())

    def _compute(self, tensors, names, **keywords):
        """Of predictions, targets and the extra inputs of these names."""
        def compute(values, targets, *extras):
            return self.client.compute(
                self.loss, values, targets, reduction=self.reduction,
                **dict(zip(names, extras)), **self.keywords, **keywords)

        if self._arena is None:
            return compute(*tensors)
        # The gradients, as many as there may be.
        results = sum(one.shape == tensors[0].shape
                      for one in (tensors[0], *tensors[2:])
                      if keywords["outputs"])
        try:
            return compute(*self._arena.place(tensors, results))
        except NotFound:
            # The server has restarted.
            self._arena.forget()
        return compute(*self._arena.place(tensors, results))
