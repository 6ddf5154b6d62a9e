"""A torch module read as the networks of theory: its Linear layers in order, what stands between them, and the cuts.

A module is traced by ``torch.fx``. Behind every Linear the signal is followed to the next one: through elementwise functions,
numbers that multiply, and sums with the signal of before (a skip connection). Where something else stands, theory ends: a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import fx, nn

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError, UnsupportedModel
from rgflow.practice.nodes import Nodes, function_activation, segment_activation
from rgflow.practice.tracing import check_parameters, place, traced

_LINEAR = activation("linear")
_TRAILING = (nn.LogSoftmax,)  # what cross-entropy may have behind the last Linear without another gradient


@dataclass(frozen=True, eq=False)
class Layer:
    """One Linear: z = output_scale (b + W input_scale sigma(z_before)) + skip z_before.

    Attributes
    ----------
    path
        Its name in the module, as ``named_modules`` has it.
    module
        The Linear itself.
    before
        Activation its inputs come from, "linear" behind another Linear; None for the data, and where it is not known.
    known
        Whether `before` is known: then theory has an initialization for it.
    behind
        Activation between it and the next Linear, "linear" if there is none; None behind the last, and where it is not known.
    input_scale, output_scale, skip
        Fixed numbers in front of it, behind it, and of the skip connection around it and its activation.
    """

    path: str
    module: nn.Linear
    before: Activation | None
    known: bool
    behind: Activation | None = None
    input_scale: float = 1.0
    output_scale: float = 1.0
    skip: float = 0.0

    @property
    def weight_scale(self) -> float:
        """What multiplies the weights."""
        return self.input_scale * self.output_scale


@dataclass(frozen=True)
class Cut:
    """A place where prediction ends: path, type and reason."""

    path: str
    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} ({self.kind}): {self.reason}"


@dataclass(frozen=True, eq=False)
class Reading:
    """What a module is for theory.

    Attributes
    ----------
    model
        The module.
    layers
        Its Linear layers in the order of calls.
    cuts
        Where theory ends; empty for a chain, which is predicted as a whole.
    front
        The part in front of the first Linear, which has no parameters; None unless the layers are a chain.
    trailing
        What stands behind the last Linear of a chain; learning is not predicted then.
    """

    model: nn.Module
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]
    front: Callable[[torch.Tensor], torch.Tensor] | None
    trailing: Cut | None

    @property
    def is_chain(self) -> bool:
        """Whether the layers, in order, are a network that theory predicts."""
        return self.front is not None

    @property
    def other_parameters(self) -> tuple[str, ...]:
        """Names of the trained parameters outside the layers."""
        covered = {id(parameter) for layer in self.layers for parameter in layer.module.parameters()}
        named = self.model.named_parameters()
        return tuple(name for name, parameter in named if parameter.requires_grad and id(parameter) not in covered)


def read(model: nn.Module) -> Reading:
    """Read a module; it is not changed.

    Parameters
    ----------
    model
        Any ``torch.nn.Module`` with one input.

    Raises
    ------
    UnsupportedModel
        Lazy, meta, complex or parametrized parameters, parameters used twice, no Linear, or a module that ``torch.fx`` cannot
        trace, with the path and type at fault.
    """
    check_parameters(model)
    graph = traced(model)
    return _Reader(model, graph).reading()


class _Reader:
    """Follows the signal through a traced graph."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        self.model = nn.Sequential(model) if isinstance(model, nn.Linear) else model
        self.original, self.graph = model, graph
        self.nodes = Nodes(self.model)
        self.sources: dict[fx.Node, set[fx.Node]] = {}
        for node in graph.nodes:
            self.sources[node] = self._sources(node)
        self.linears = [node for node in graph.nodes if self.nodes.is_linear(node)]
        self.cuts: list[Cut] = []
        self.trailing: Cut | None = None

    def reading(self) -> Reading:
        called = [str(node.target) for node in self.linears]
        for path in called:
            if called.count(path) > 1:
                raise UnsupportedModel(
                    f"{place(self.model, path)}: is called {called.count(path)} times; shared weights"
                )
        layers = self._with_behind([self._layer(node) for node in self.linears])
        chain = None if self._opaque() else self._chained(layers)
        found = tuple(chain or layers)
        if self.model is not self.original:
            found = tuple(replace(layer, path="") for layer in found)
        front = self._front() if chain else None
        return Reading(self.original, found, tuple(self.cuts), front, self.trailing)

    def _sources(self, node: fx.Node) -> set[fx.Node]:
        """Where the signal of a node comes from: the nearest boundaries, a sum of two different ones being one itself."""
        if self.nodes.is_boundary(node):
            return {node}
        found: set[fx.Node] = set().union(*(self.sources[before] for before in node.all_input_nodes))
        return {node} if len(found) > 1 else found

    def _layer(self, node: fx.Node) -> Layer:
        """A Linear with what its inputs come from, as far as that is known."""
        path, module = str(node.target), self.nodes.module(node)
        assert isinstance(module, nn.Linear)
        scale, inner = self.nodes.peeled(node.all_input_nodes[0])
        (source,) = self.sources[inner]
        if source.op == "placeholder":
            return Layer(path, module, None, True)  # a scale here belongs to the inputs
        before = self._between(source, inner)
        if isinstance(before, RgflowError):
            self._cut(inner, f"{before}")
        known = isinstance(before, Activation) and (before is not _LINEAR or self._is_state(source))
        return Layer(
            path, module, before if isinstance(before, Activation) and known else None, known, input_scale=scale
        )

    def _with_behind(self, layers: list[Layer]) -> list[Layer]:
        behind = {self._source(node): layer.before for node, layer in zip(self.linears, layers, strict=True)}
        return [replace(layer, behind=behind.get(node)) for node, layer in zip(self.linears, layers, strict=True)]

    def _between(self, source: fx.Node, last: fx.Node) -> Activation | RgflowError:
        """The activation between a boundary and a node behind it."""
        if last is source:
            return _LINEAR
        nodes = [node for node in self._span(source, last) if not self.nodes.is_identity(node)]
        if len(nodes) > 1 or not nodes:
            return segment_activation(source, list(self._span(source, last)), self.model)
        if nodes[0].op == "call_module":
            return self.nodes.activation_of(nodes[0])
        return function_activation(nodes[0], self.model)

    def _span(self, source: fx.Node, last: fx.Node) -> Iterator[fx.Node]:
        """The nodes behind a boundary that a node depends on, in order, itself included."""
        needed, waiting = set(), [last]
        while waiting:
            node = waiting.pop()
            if node is not source and node not in needed:
                needed.add(node)
                waiting += node.all_input_nodes
        return (node for node in self.graph.nodes if node in needed)

    def _is_state(self, node: fx.Node) -> bool:
        """Whether a boundary is the preactivation of a Linear, or a sum of such."""
        parts = [part for _, part in self.nodes.summands(node)]
        return self.nodes.is_linear(node) or (bool(parts) and all(map(self._is_state, parts)))

    def _opaque(self) -> bool:
        """Cut at every boundary that is neither an input nor a Linear nor a sum of such."""
        for node in self.graph.nodes:
            strange = self.nodes.is_boundary(node) and node.op != "placeholder" and not self.nodes.is_linear(node)
            if strange and not self._is_trailing(node):
                self._cut(node, "no theory of it here")
        return bool(self.cuts)

    def _is_trailing(self, node: fx.Node) -> bool:
        return isinstance(self.nodes.module(node), _TRAILING) and all(user.op == "output" for user in node.users)

    def _cut(self, node: fx.Node, reason: str) -> None:
        cut = self._named(node, reason)
        if cut.path not in {known.path for known in self.cuts}:
            self.cuts.append(cut)

    def _named(self, node: fx.Node, reason: str) -> Cut:
        module = self.nodes.module(node)
        kind = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
        return Cut(str(node.target) if module is not None else node.name, kind, reason)

    def _chained(self, layers: list[Layer]) -> list[Layer] | None:
        """The layers with their skip connections, if each reads the signal of the one before; None, and a cut, if not."""
        chain = [layers[0]]
        if layers[0].before is not None or not layers[0].known:
            self._break(self.linears[0])
            return None
        state = self.linears[0]
        for node, layer in zip(self.linears[1:], layers[1:], strict=True):
            if self._source(node) is not state or not layer.known:
                self._break(node)
                return None
            merge = next((m for m in self.graph.nodes if m in self.sources[m] and self._joins(m, node, state)), node)
            weights = {part: factor for factor, part in self.nodes.summands(merge)}
            chain[-1] = replace(chain[-1], behind=layer.before)
            chain.append(replace(layer, output_scale=weights.get(node, 1.0), skip=weights.get(state, 0.0)))
            state = merge
        return self._ended(chain, state)

    def _source(self, node: fx.Node) -> fx.Node:
        """The boundary that a Linear reads."""
        (source,) = self.sources[node.all_input_nodes[0]]
        return source

    def _joins(self, merge: fx.Node, node: fx.Node, state: fx.Node) -> bool:
        return {part for _, part in self.nodes.summands(merge)} == {node, state}

    def _break(self, node: fx.Node) -> None:
        self._cut(
            node, "reads something else than the signal of the Linear before it, such as a longer skip connection"
        )

    def _ended(self, chain: list[Layer], state: fx.Node) -> list[Layer]:
        """The chain with the number that multiplies its outputs, or with the note that something else follows them."""
        (output,) = (node for node in self.graph.nodes if node.op == "output")
        last = output.all_input_nodes[0] if len(output.all_input_nodes) == 1 else output
        factor, inner = self.nodes.peeled(last.all_input_nodes[0] if self._is_trailing(last) else last)
        if inner is not state:
            self.trailing = self._named(inner, "stands behind the last Linear, so training is not predicted")
            return chain
        end = chain[-1]
        return [*chain[:-1], replace(end, output_scale=factor * end.output_scale, skip=factor * end.skip)]

    def _front(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The part between the input and the first Linear, without the number that `input_scale` has."""
        _, inner = self.nodes.peeled(self.linears[0].all_input_nodes[0])
        (source,) = self.sources[inner]
        graph, copies = fx.Graph(), {}
        copies[source] = graph.placeholder("x")
        flattened = self.linears[0].all_input_nodes[0]
        for node in self._span(source, flattened):
            copies[node] = graph.node_copy(node, lambda old: copies[old])
        graph.output(copies[flattened])
        return fx.GraphModule(self.model, graph)


def widths(layers: tuple[Layer, ...]) -> tuple[int, ...]:
    """(n_0, ..., n_L) of a chain."""
    for before, after in pairwise(layers):
        if before.module.out_features != after.module.in_features:
            raise UnsupportedModel(
                f"{after.path} (Linear): takes {after.module.in_features} features of {before.path}'s"
            )
    return (layers[0].module.in_features, *(layer.module.out_features for layer in layers))
