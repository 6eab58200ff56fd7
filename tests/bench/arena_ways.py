"""Ways to get a loss and its gradient from Python: PyTorch's own, and lossd's
from tensors that lie here or there."""

import lossd
import lossd.torch
import torch

from arena_cases import options_of
from workloads import TORCH_LOSSES, arrays_of

# PyTorch's float losses and gradients, whose exponentials are off by some ulps
# of numbers up to 20, agree with lossd's to this; gradients of the largest.
TOLERANCE = 1e-5


class Ways:
    """A loss of the same tensors in each way. What a way returns is a loss and
    the gradient."""

    def __init__(self, case, client):
        self.predictions, self.targets = map(torch.from_numpy, arrays_of(case))
        self.torch_loss = TORCH_LOSSES[case.loss]
        self.client = client
        self.loss_name = case.loss
        self.options = options_of(case.loss)
        self.lossd_loss = lossd.torch.Loss(case.loss, client, arena=True,
                                           **self.options)
        sizes = [self.predictions, self.targets, self.predictions] * 2
        self.arena = client.create_arena(
            sum(one.numel() * one.element_size() + 64 for one in sizes))
        self.placed = [self.arena.copy(one) for one in
                       (self.predictions, self.targets)]
        # As parameters are, whose gradients stay where they are.
        self.leaf = self.predictions.clone().requires_grad_()
        self.gradient = torch.zeros_like(self.predictions)

    def _step(self, loss_of):
        # A gradient that is kept would be added to, which takes longer.
        self.leaf.grad = None
        loss = loss_of(self.leaf, self.targets)
        loss.backward()
        return loss.item(), self.leaf.grad

    def _compute(self, predictions, targets):
        result = self.client.compute(self.loss_name, predictions, targets,
                                     **self.options)
        return result.loss, result.gradient

    def torch(self):
        return self._step(self.torch_loss)

    def loss(self):
        """The module that takes the place of PyTorch's."""
        return self._step(self.lossd_loss)

    def inline(self):
        """Over gRPC."""
        return self._compute(self.predictions, self.targets)

    def resident(self):
        """All of it in the arena."""
        return self._compute(*self.placed)

    def copied(self):
        """Predictions come from elsewhere."""
        return self._compute(self.arena.copy(self.predictions), self.placed[1])

    def ordinary(self):
        """All of it comes from elsewhere and goes there."""
        loss, gradient = self._compute(self.arena.copy(self.predictions),
                                       self.arena.copy(self.targets))
        return loss, self.gradient.copy_(gradient)

    def disagreement(self, way):
        """What is wrong with its result, beside PyTorch's; None if nothing is.
        """
        expected_loss, expected = self.torch()
        loss, gradient = getattr(self, way)()
        if abs(loss - expected_loss) > TOLERANCE * abs(expected_loss):
            return f"the loss is {loss}, PyTorch's {expected_loss}"
        error = (gradient - expected).abs().max() / expected.abs().max()
        if not error <= TOLERANCE:
            return f"the gradient is off by {error:.1e} of its largest element"
        return None
