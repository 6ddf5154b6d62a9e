"""What the nodes of a traced module do: scales, identities, elementwise functions, and everything else."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError

_IDENTITIES = (
    nn.Identity,
    nn.Flatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_IDENTITY_FUNCTIONS: set[Any] = {torch.flatten, nn.functional.dropout, nn.functional.alpha_dropout}
_IDENTITY_METHODS: set[Any] = {"flatten", "view", "reshape", "contiguous", "float", "double", "to", "clone"}
_PRODUCTS = {operator.mul, torch.mul, torch.multiply, "mul", "multiply"}
_QUOTIENTS = {operator.truediv, torch.div, torch.divide, torch.true_divide, "div", "divide"}
_NEGATIONS = {operator.neg, torch.neg, "neg"}
_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_DIFFERENCES = {operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"}


class Nodes:
    """The nodes of one traced module, asked one at a time."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._activations: dict[str, Activation | RgflowError] = {}

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls."""
        return self.model.get_submodule(str(node.target)) if node.op == "call_module" else None

    def is_linear(self, node: fx.Node) -> bool:
        """Whether a node calls a plain ``torch.nn.Linear``."""
        module = self.module(node)
        return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward

    def is_identity(self, node: fx.Node) -> bool:
        """Whether a node passes its first argument on, but for its shape; dropout counts, as predictions are without it."""
        module = self.module(node)
        if module is not None:
            return isinstance(module, _IDENTITIES)
        return node.target in (_IDENTITY_FUNCTIONS if node.op == "call_function" else _IDENTITY_METHODS)

    def scale(self, node: fx.Node) -> tuple[float, fx.Node] | None:
        """(c, x) of a node that is c x with a number c; identities have c = 1."""
        if self.is_identity(node):
            return 1.0, node.all_input_nodes[0]
        if node.op not in ("call_function", "call_method"):
            return None
        if node.target in _NEGATIONS:
            return -1.0, node.all_input_nodes[0]
        return self._product(node)

    def _product(self, node: fx.Node) -> tuple[float, fx.Node] | None:
        if node.target not in _PRODUCTS | _QUOTIENTS or len(node.args) != 2:
            return None
        left, right = (self.number(argument) for argument in node.args)
        first, second = node.args
        if right is not None and isinstance(first, fx.Node):
            return (right if node.target in _PRODUCTS else 1.0 / right), first
        if left is not None and isinstance(second, fx.Node) and node.target in _PRODUCTS:
            return left, second
        return None

    def summands(self, node: fx.Node) -> tuple[tuple[float, fx.Node], ...]:
        """((c, x), (c', x')) of a node that is c x + c' x'; empty if it is none."""
        signs = 1.0 if node.target in _SUMS else -1.0 if node.target in _DIFFERENCES else None
        if signs is None or len(node.args) != 2 or node.kwargs:
            return ()
        found = [self.peeled(argument) for argument in node.args if isinstance(argument, fx.Node)]
        if len(found) != 2:
            return ()
        (a, x), (b, y) = found
        return (a, x), (signs * b, y)

    def peeled(self, node: fx.Node) -> tuple[float, fx.Node]:
        """(c, x) of a node that is c x, x the first in front of it that is no scale."""
        factor = 1.0
        while (scaled := self.scale(node)) is not None:
            factor, node = factor * scaled[0], scaled[1]
        return factor, node

    def number(self, argument: Any) -> float | None:
        """The number that an argument is: a constant, or a buffer with one entry."""
        if isinstance(argument, int | float):
            return float(argument)
        if not (isinstance(argument, fx.Node) and argument.op == "get_attr"):
            return None
        tensor = operator.attrgetter(str(argument.target))(self.model)
        fixed = isinstance(tensor, torch.Tensor) and not isinstance(tensor, nn.Parameter) and tensor.numel() == 1
        return float(tensor) if fixed else None

    def activation_of(self, node: fx.Node) -> Activation | RgflowError:
        """The activation that the module of a node is, or why it is none."""
        name = str(node.target)
        if name not in self._activations:
            self._activations[name] = module_activation(self.model.get_submodule(name))
        return self._activations[name]

    def is_boundary(self, node: fx.Node) -> bool:
        """Whether theory starts anew behind a node: input, parameter, Linear, or a module that is not elementwise."""
        if node.op == "placeholder":
            return True
        if not node.all_input_nodes:
            return self.number(node) is None
        if node.op != "call_module" or self.is_identity(node):
            return False
        return self.is_linear(node) or isinstance(self.activation_of(node), RgflowError)


def module_activation(module: nn.Module) -> Activation | RgflowError:
    """The activation that a module is, or why it is none."""
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return activation("leaky_relu", slope=float(module.weight.detach()))
    if any(True for _ in module.parameters()) or any(True for _ in module.buffers()):
        return RgflowError("no elementwise function without parameters")
    return _made(module)


def function_activation(node: fx.Node, model: nn.Module) -> Activation | RgflowError:
    """The activation that a call of a function or of a tensor's method is, or why it is none."""
    function = getattr(torch, str(node.target), None) if node.op == "call_method" else node.target
    settings = _settings(node, model)
    if not callable(function) or settings is None:
        return RgflowError(f"{node.target} is no known function of one tensor")
    return _made(partial(function, **settings) if settings else function)


def segment_activation(source: fx.Node, nodes: list[fx.Node], model: nn.Module) -> Activation | RgflowError:
    """The activation that several nodes in a row are, as a function of the node in front of them."""
    graph = fx.Graph()
    copies = {source: graph.placeholder("z")}
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda old: copies[old])
    graph.output(copies[nodes[-1]])
    segment = fx.GraphModule(model, graph).eval()

    def composed(z: torch.Tensor) -> torch.Tensor:
        return segment(z)  # type: ignore[no-any-return]

    composed.__name__ = composed.__qualname__ = ".".join(node.name for node in nodes)
    return _made(composed)


def _settings(node: fx.Node, model: nn.Module) -> dict[str, Any] | None:
    """Keywords of a call but for its one tensor; None if it has more tensors or no known signature."""
    if not node.kwargs and len(node.args) == 1:
        return {}
    normal = node.normalized_arguments(model, normalize_to_only_use_kwargs=True)
    if normal is None or len(node.all_input_nodes) != 1:
        return None
    return {key: value for key, value in normal.kwargs.items() if not isinstance(value, fx.Node)}


def _made(function: Callable[..., Any]) -> Activation | RgflowError:
    try:
        return activation(function)
    except RgflowError as error:
        return error
