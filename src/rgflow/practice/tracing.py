"""Whether a module can be read at all, and its graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import fx, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from rgflow.errors import UnsupportedModel


def check_parameters(model: nn.Module) -> None:
    """Raise `UnsupportedModel` for parameters that no advice can be about, and for a module without a Linear."""
    seen: dict[int, str] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        owner = _owner(model, path)
        if is_lazy(parameter):
            raise UnsupportedModel(f"{owner}: lazy parameters; run the module once on a batch before")
        if parameter.is_meta:
            raise UnsupportedModel(f"{owner}: parameters on the meta device; materialize them with to_empty before")
        if parameter.is_complex():
            raise UnsupportedModel(f"{owner}: complex parameters; real ones are supported")
        if id(parameter) in seen:
            raise UnsupportedModel(f"{owner}: shares {path} with {seen[id(parameter)]}; every layer needs its own")
        seen[id(parameter)] = path
    for path, module in model.named_modules():
        if parametrize.is_parametrized(module):
            raise UnsupportedModel(
                f"{path} ({type(module).__name__}): is parametrized; remove the parametrization before"
            )
    if not any(isinstance(module, nn.Linear) for module in model.modules()):
        raise UnsupportedModel(f"{place(model, '')}: has no torch.nn.Linear, of which theory knows")


def _owner(model: nn.Module, parameter: str) -> str:
    return place(model, parameter.rpartition(".")[0])


def place(model: nn.Module, path: str) -> str:
    """A path with the type of what is there."""
    return f"{path or 'model'} ({type(model.get_submodule(path)).__name__})"


class _Tracer(fx.Tracer):
    """Traces into modules of the user's own, not into those of torch, and knows where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[nn.Module] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Linear) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self.inside.append(m)
        result = super().call_module(m, forward, args, kwargs)
        self.inside.pop()
        return result


def traced(model: nn.Module) -> fx.Graph:
    """The graph of a module with one input; others have to have defaults, which they keep."""
    inputs = [p for p in inspect.signature(model.forward).parameters.values() if p.kind is not p.VAR_KEYWORD]
    needed = [p.name for p in inputs if p.default is p.empty]
    if len(needed) != 1 or inputs[0].kind is inputs[0].VAR_POSITIONAL:
        raise UnsupportedModel(f"{place(model, '')}: takes the inputs {needed}; one tensor is supported")
    if isinstance(model, nn.Linear):
        model = nn.Sequential(model)
    tracer = _Tracer()
    try:
        return tracer.trace(model, {p.name: p.default for p in inputs if p.default is not p.empty})
    except Exception as error:  # whatever the user's forward does with a proxy
        where = next((path for path, m in model.named_modules() if tracer.inside and m is tracer.inside[-1]), "")
        reason = " ".join(str(error).split()).split(". ")[0]
        raise UnsupportedModel(
            f"{place(model, where)}: torch.fx cannot trace it ({type(error).__name__}: {reason}); "
            "advise a part without control flow that depends on data"
        ) from None
