"""How the generated methods, which are declarations, become calls."""

import functools
import inspect
from typing import Literal

ReductionName = Literal["NONE", "SUM", "MEAN", "WEIGHTED_MEAN", "BATCHMEAN"]
SemanticsName = Literal["STRICT", "PYTORCH", "KERAS"]


def check_keywords(name, given, allowed):
    """Raises TypeError, listing the valid ones, for a keyword not allowed."""
    for keyword in given:
        if keyword not in allowed:
            raise TypeError(f"{name}() has no keyword {keyword!r}; it has: "
                            f"{', '.join(sorted(allowed))}")


def loss_method(declaration):
    """The method that sends what the caller gave, under the declared name.

    What is left out stays unset in the request: the declared defaults tell
    what the server then takes.
    """
    name = declaration.__name__
    allowed = frozenset(
        parameter.name
        for parameter in inspect.signature(declaration).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY)

    @functools.wraps(declaration)
    def method(self, predictions, targets=None, **keywords):
        check_keywords(name, keywords, allowed)
        return self._loss_and_gradient(name, predictions, targets, **keywords)

    return method
