"""keras.ops on PyTorch; see __init__.py."""

import numpy
import torch


class _CustomGradient(torch.autograd.Function):

    @staticmethod
    def forward(ctx, function, *arguments):
        ctx.save_for_backward(*arguments)
        output, ctx.gradient = function(*arguments)
        return output

    @staticmethod
    def backward(ctx, upstream):
        return None, ctx.gradient(*ctx.saved_tensors, upstream=upstream)


def custom_gradient(function):
    return lambda *arguments: _CustomGradient.apply(function, *arguments)


def convert_to_numpy(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return numpy.array(value)


def convert_to_tensor(value):
    return torch.as_tensor(value)


def multiply(a, b):
    return torch.multiply(a, b)


def expand_dims(value, axis):
    return torch.unsqueeze(value, axis)
