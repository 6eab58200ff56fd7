"""The few functions of Keras 3 that lossd.keras uses, on PyTorch.

Keras itself is not packaged by Debian. This behaves like its PyTorch backend:
custom_gradient is an autograd Function whose forward receives detached
tensors and whose backward calls the second result with the arguments and
`upstream`.
"""

from keras import ops  # noqa: F401
