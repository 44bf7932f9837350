"""A ranking of edges to circuits of every size, in which each edge lies on a path of the others (docs/circuits.md).

An edge is *live* within a set when a path of the set from resid_steer to the LM head runs through it.

1. `path_order` goes down the ranking. The edge that completes a path makes it live, and perhaps others with it. They are taken
   up path by path, each as short as can be: its ends lie in the circuit, its inner nodes are new to it. Most of these
   paths are one edge between two nodes of the circuit.
2. `circuits_of` takes up whole paths until n edges are live. A path longer than what is missing is passed over, and the
   next that fit stand in for it: the published "add further edges until n remain".

Circuits of one ranking are nested but for the few edges that stand in, fewer than the path passed over has.
Exact sizes and strict nesting exclude each other: a node that is new brings two edges at least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Int

from steering_study.circuits.edge_sets import check_size, edge_set
from steering_study.circuits.graph import Graph

EdgePath = list[int]  # edge numbers, from resid_steer's side to the LM head's


def path_order(graph: Graph, ranks: Int[np.ndarray, "edge"]) -> Int[np.ndarray, "edge"]:
    """Edge numbers in the order in which circuits take them up, the edges of a path in its direction.

    Paths come by the rank of the edge that completes them. Of those that one edge completes, the shortest through it
    comes first; the others follow as if they were ranked alone.
    """
    order: list[int] = []
    _take_up(np.argsort(ranks).tolist(), _Circuit(graph), order)
    return np.array(order, dtype=np.int64)


def circuits_of(
    graph: Graph, order: Int[np.ndarray, "edge"], sizes: Sequence[int]
) -> Bool[np.ndarray, "size src dst"]:
    """The circuits of the given sizes of one `path_order`; smaller only where no set of so many live edges was found.

    Raises:
        ValueError: if a size is not between 0 and the number of edges.
    """
    for size in sizes:
        check_size(graph, size)
    paths = _split_paths(graph, order.tolist())
    return np.stack([edge_set(graph, _fill(graph, paths, size)) for size in sizes])


class _Circuit:
    """A set of live edges: which sources it reaches from resid_steer, and from which destinations it leads on."""

    def __init__(self, graph: Graph) -> None:
        self.ends = _ends(graph)
        self.reached = [source == 0 for source in range(graph.n_src)]
        self.leads_on = [destination == graph.lm_head for destination in range(graph.n_dst)]

    def take(self, edges: Iterable[int]) -> None:
        """Add edges that are live with those already there."""
        src, dst, inputs, readers = self.ends
        edges = list(edges)
        for source in {src[edge] for edge in edges}:
            for destination in inputs[source]:
                self.leads_on[destination] = True
        for destination in {dst[edge] for edge in edges}:
            for source in readers[destination]:
                self.reached[source] = True

    def joins(self, path: EdgePath) -> bool:
        """Whether both ends of a path lie in the circuit, so that it is live there."""
        return self.reached[self.ends[0][path[0]]] and self.leads_on[self.ends[1][path[-1]]]


class _Ranked:
    """A circuit and edges of the ranking that went before, dead ones too."""

    def __init__(self, circuit: _Circuit) -> None:
        self.ends = circuit.ends
        self.reached, self.leads_on = list(circuit.reached), list(circuit.leads_on)
        self.out_of: dict[int, list[int]] = defaultdict(list)  # edges by source, and by destination
        self.into: dict[int, list[int]] = defaultdict(list)

    def add(self, edge: int) -> bool:
        """Add an edge; whether it reaches a source, or leads on from a destination, that was not before."""
        src, dst, inputs, readers = self.ends
        self.out_of[src[edge]].append(edge)
        self.into[dst[edge]].append(edge)
        forwards = _spread(
            [edge] if self.reached[src[edge]] else [],
            lambda e: readers[dst[e]],
            self.reached,
            self.out_of,
        )
        backwards = _spread(
            [edge] if self.leads_on[dst[edge]] else [],
            lambda e: inputs[src[e]],
            self.leads_on,
            self.into,
        )
        return forwards or backwards

    def is_live(self, edge: int) -> bool:
        return self.reached[self.ends[0][edge]] and self.leads_on[self.ends[1][edge]]

    def shortest_path(self, edge: int, circuit: _Circuit) -> EdgePath:
        """The shortest live path through an edge with both ends in the circuit; of equals the one ranked first."""
        src, dst, inputs, readers = self.ends
        back = _walk(
            edge,
            lambda e: circuit.reached[src[e]],
            lambda e: [b for d in inputs[src[e]] for b in self.into[d] if self.reached[src[b]]],
        )
        ahead = _walk(
            edge,
            lambda e: circuit.leads_on[dst[e]],
            lambda e: [a for s in readers[dst[e]] for a in self.out_of[s] if self.leads_on[dst[a]]],
        )
        return [*reversed(back), *ahead[1:]]


def _take_up(ranking: Sequence[int], circuit: _Circuit, order: list[int]) -> None:
    """Append the edges of a ranking to the order as they become live, and add them to the circuit."""
    ranked, dead = _Ranked(circuit), []
    for edge in ranking:
        reaches_more = ranked.add(edge)
        if not ranked.is_live(edge):
            dead.append(edge)
            continue
        path = ranked.shortest_path(edge, circuit)
        order += path
        circuit.take(path)
        if reaches_more:  # then dead edges may live
            born = [each for each in dead if ranked.is_live(each)]
            dead = [each for each in dead if not ranked.is_live(each)]
            _take_up([each for each in born if each not in set(path)], circuit, order)


def _split_paths(graph: Graph, order: Sequence[int]) -> list[EdgePath]:
    """The paths of a `path_order`: each ends at the first destination from which the circuit so far leads on."""
    circuit, paths, path = _Circuit(graph), [], []
    for edge in order:
        path.append(edge)
        if circuit.leads_on[circuit.ends[1][edge]]:
            circuit.take(path)
            paths.append(path)
            path = []
    return paths


def _fill(graph: Graph, paths: Sequence[EdgePath], size: int) -> EdgePath:
    """Edges of whole paths, `size` of them where that can be."""
    n_whole = int(np.searchsorted(np.cumsum([len(path) for path in paths]), size, side="right"))
    found = _join(graph, paths, size, n_first=n_whole)
    # One may be missing when the circuit holds every edge between its nodes: a new node brings two
    for left_out in reversed(range(n_whole)):
        if len(found) == size:
            break
        others = [*paths[:left_out], *paths[left_out + 1 :]]
        found = max(found, _join(graph, others, size, n_first=left_out), key=len)
    return found if len(found) == size else max(found, _first_path(graph, paths, size), key=len)


def _join(graph: Graph, paths: Sequence[EdgePath], size: int, *, n_first: int) -> list[int]:
    """Edges of the first paths, and of each later one that joins the circuit and fits."""
    edges = [edge for path in paths[:n_first] for edge in path]
    circuit = _Circuit(graph)
    circuit.take(edges)
    for path in paths[n_first:]:
        if len(edges) == size:
            break
        if len(path) <= size - len(edges) and circuit.joins(path):
            edges += path
            circuit.take(path)
    return edges


def _first_path(graph: Graph, paths: Sequence[EdgePath], length: int) -> EdgePath:
    """The path of so many edges from resid_steer to the LM head whose last-taken edge comes first; [] where there is none."""
    if not 0 < length <= 2 * graph.n_blocks + 1:  # attention and MLP of each block, then the LM head
        return []
    src, dst, _, readers = _ends(graph)
    order = [edge for path in paths for edge in path]
    best: dict[int, tuple[int, EdgePath]] = {
        0: (-1, [])
    }  # by source: place of the last-taken edge, and the path
    arriving: dict[int, tuple[int, EdgePath]] = {}
    for _ in range(length):
        arriving = {}
        for place, edge in enumerate(order):
            if src[edge] in best:
                last, path = best[src[edge]]
                _keep_least(arriving, dst[edge], (max(last, place), [*path, edge]))
        best = {}
        for destination, found in arriving.items():
            for source in readers[destination]:
                _keep_least(best, source, found)
    return arriving[graph.lm_head][1] if graph.lm_head in arriving else []


def _keep_least(best: dict[int, tuple[int, EdgePath]], key: int, found: tuple[int, EdgePath]) -> None:
    best[key] = min(best.get(key, found), found)


@lru_cache(maxsize=4)
def _ends(graph: Graph) -> tuple[list[int], list[int], list[list[int]], list[list[int]]]:
    """Source and destination of each edge, the destinations that each source reads, and the sources that read each."""
    src, dst = (ends.tolist() for ends in graph.edges)
    inputs: list[list[int]] = [[] for _ in range(graph.n_src)]
    readers: list[list[int]] = [[] for _ in range(graph.n_dst)]
    for source, destination in zip(*np.nonzero(graph.reads), strict=True):
        inputs[source].append(int(destination))
        readers[destination].append(int(source))
    return src, dst, inputs, readers


def _spread(
    edges: list[int],
    behind: Callable[[int], list[int]],
    flags: list[bool],
    edges_of: dict[int, list[int]],
) -> bool:
    """Set the flags of what lies behind edges, of what lies behind theirs, and so on; whether one was new."""
    is_new = False
    while edges:
        for node in behind(edges.pop()):
            if not flags[node]:
                flags[node] = is_new = True
                edges += edges_of[node]
    return is_new


def _walk(start: int, is_there: Callable[[int], bool], neighbours: Callable[[int], list[int]]) -> EdgePath:
    """The shortest walk over edges from one of them to one that is there, both included."""
    walks, seen = [[start]], {start}
    for walk in walks:  # grows as it goes
        if is_there(walk[-1]):
            return walk
        for edge in neighbours(walk[-1]):
            if edge not in seen:
                seen.add(edge)
                walks.append([*walk, edge])
    raise AssertionError("a live edge has a path on both sides")
