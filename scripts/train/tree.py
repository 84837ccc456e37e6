"""One forward pass for many prompts that begin alike: a trunk with branches.

The prompts of a document share their beginnings. The trunk is the longest of them; branch i is what prompt i has after
its longest common prefix with the trunk:

    trunk     t0 t1 t2 t3 t4 t5 t6 t7 ..
    branch 0  |  b b b b                 attends to t[:prefix] and to itself
    branch 1        |  b b b b           (position = place in its own prompt)

Rows of the pass: the trunk, then the branches one behind another. The numbers are those of one pass per prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

ATTENTION_NAME = "tree"
ROWS_PER_GROUP = 128
"""Neighbouring rows of the trunk, or of whole branches, whose attention runs in one call."""
MAX_BRANCH = 256
"""A prompt that would need a longer branch starts a tree of its own."""

Span = tuple[int, int, int]
"""Rows [begin, end) in a row that attend to the trunk's first n rows and, causally, to each other: begin, end, n."""


@dataclass
class _Group:
    """Rows [begin, end) attend to the trunk's first `prefix` rows and to each other, as far as `bias` allows."""

    begin: int
    end: int
    prefix: int
    bias: torch.Tensor  # [end - begin, prefix + end - begin]: 0 or -inf

    def keys_of(self, rows: torch.Tensor) -> torch.Tensor:
        """[batch, heads, rows, head_dim] -> those that the group's rows may see, the trunk's first."""
        if self.prefix == self.begin:
            return rows[:, :, : self.end]
        return torch.cat([rows[:, :, : self.prefix], rows[:, :, self.begin : self.end]], dim=2)

    def add_to(self, rows: torch.Tensor, more: torch.Tensor) -> None:
        """Adds to the rows what is laid out as keys_of gives them."""
        rows[:, :, : self.prefix] += more[:, :, : self.prefix]
        rows[:, :, self.begin : self.end] += more[:, :, self.prefix :]


@dataclass
class Tree:
    """Input of one pass. Branch i has the rows from `first_rows[i]` to `last_rows[i]`, whose logits answer prompt
    `prompts[i]` of those that were given."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    first_rows: torch.Tensor
    last_rows: torch.Tensor
    prompts: list[int]
    groups: list[_Group] = field(default_factory=list)

    def rows_of(self, branch: int, count: int) -> torch.Tensor:
        """Rows of the last `count` ids of a branch's prompt, in order: its own, before them the trunk's."""
        first, last = int(self.first_rows[branch]), int(self.last_rows[branch])
        own = min(count, last + 1 - first)
        prefix = int(self.position_ids[0, first])
        shared = torch.arange(max(0, prefix - (count - own)), prefix)
        return torch.cat([shared, torch.arange(last + 1 - own, last + 1)]).to(self.input_ids.device)

    def to(self, device: torch.device) -> Tree:
        groups = [_Group(g.begin, g.end, g.prefix, g.bias.to(device)) for g in self.groups]
        return Tree(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.first_rows.to(device),
            self.last_rows.to(device),
            self.prompts,
            groups,
        )


def _common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    limit = min(len(a), len(b))
    different = np.nonzero(a[:limit] != b[:limit])[0]
    return int(different[0]) if len(different) else limit


def build_trees(prompts: Sequence[np.ndarray], max_rows: int) -> list[Tree]:
    """Trees of `prompts` (ids, none empty), each prompt in one of them; about `max_rows` rows a tree at most."""
    left, trees = sorted(range(len(prompts)), key=lambda i: -len(prompts[i])), []
    while left:
        trunk = prompts[left[0]]
        members, rest, rows = [], [], len(trunk)
        for i in left:
            prefix = min(_common_prefix(trunk, prompts[i]), len(prompts[i]) - 1)
            branch = len(prompts[i]) - prefix
            # The first always joins: it is the trunk.
            if not members or (branch <= MAX_BRANCH and rows + branch <= max_rows):
                members.append((prefix, i))
                rows += branch
            else:
                rest.append(i)
        trees.append(_build_tree(prompts, sorted(members)))
        left = rest
    return trees


def _build_tree(prompts: Sequence[np.ndarray], members: list[tuple[int, int]]) -> Tree:
    trunk = prompts[members[-1][1]][: members[-1][0]]
    rows, positions = [trunk], [np.arange(len(trunk))]
    groups = _trunk_groups(len(trunk))
    spans: list[Span] = []
    first_rows, last_rows, num_rows = [], [], len(trunk)
    for prefix, i in members:
        branch = prompts[i][prefix:]
        spans.append((num_rows, num_rows + len(branch), prefix))
        first_rows.append(num_rows)
        rows.append(branch)
        positions.append(np.arange(prefix, len(prompts[i])))
        num_rows += len(branch)
        last_rows.append(num_rows - 1)
        if num_rows - spans[0][0] >= ROWS_PER_GROUP:
            groups.append(_group(spans))
            spans = []
    if spans:
        groups.append(_group(spans))
    return Tree(
        input_ids=torch.from_numpy(np.concatenate(rows).astype(np.int64))[None],
        position_ids=torch.from_numpy(np.concatenate(positions))[None],
        first_rows=torch.tensor(first_rows),
        last_rows=torch.tensor(last_rows),
        prompts=[i for _, i in members],
        groups=groups,
    )


def _trunk_groups(num_rows: int) -> list[_Group]:
    return [_group([(b, min(b + ROWS_PER_GROUP, num_rows), b)]) for b in range(0, num_rows, ROWS_PER_GROUP)]


def plain_tree(num_rows: int) -> Tree:
    """A trunk alone, any number of texts of that length at a time: ordinary causal attention, faster in training."""
    nothing = torch.tensor([], dtype=torch.long)
    return Tree(nothing, nothing, nothing, nothing, [], _trunk_groups(num_rows))


def _group(spans: list[Span]) -> _Group:
    begin, end, prefix = spans[0][0], spans[-1][1], max(span[2] for span in spans)
    bias = torch.full((end - begin, prefix + end - begin), float("-inf"))
    for first, last, own_prefix in spans:
        bias[first - begin : last - begin, :own_prefix] = 0
        causal = torch.full((last - first, last - first), float("-inf")).triu(1)
        bias[first - begin : last - begin, prefix + first - begin : prefix + last - begin] = causal
    return _Group(begin, end, prefix, bias)


class _GroupedAttention(torch.autograd.Function):
    """Softmax attention of each group of rows. With a backward pass of its own: autograd would make, for every slice of
    every group, a gradient of the size of all rows."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, groups: list[_Group]
    ) -> torch.Tensor:
        """[batch, heads, rows, head_dim] each, the query scaled -> like the query."""
        out = torch.empty_like(query)
        weights = []
        for group in groups:
            scores = query[:, :, group.begin : group.end] @ group.keys_of(key).transpose(2, 3)
            scores += group.bias.to(scores.dtype)
            weights.append(torch.softmax(scores, dim=-1))
            out[:, :, group.begin : group.end] = weights[-1] @ group.keys_of(value)
        ctx.save_for_backward(query, key, value, *weights)
        ctx.groups = groups
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        query, key, value, *weights = ctx.saved_tensors
        grad_query = torch.empty_like(query)
        # A trunk's row is in the keys of many groups: float32, or their sum would lose the small ones.
        grad_key, grad_value = (torch.zeros_like(x, dtype=torch.float32) for x in (key, value))
        for group, weight in zip(ctx.groups, weights, strict=True):
            grad = grad_out[:, :, group.begin : group.end]
            group.add_to(grad_value, weight.transpose(2, 3) @ grad)
            grad_weight = grad @ group.keys_of(value).transpose(2, 3)
            grad_scores = torch._softmax_backward_data(grad_weight, weight, -1, weight.dtype)
            grad_query[:, :, group.begin : group.end] = grad_scores @ group.keys_of(key)
            group.add_to(grad_key, grad_scores.transpose(2, 3) @ query[:, :, group.begin : group.end])
        return grad_query, grad_key.to(key.dtype), grad_value.to(value.dtype), None


def _tree_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    tree: Tree,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Plain matrix products: in bfloat16 with gradients they take half the time of torch's CPU attention kernel."""
    repeats = query.shape[1] // key.shape[1]
    query, key = (query * scaling).to(value.dtype), key.to(value.dtype)  # rotary leaves autocast's bfloat16
    key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
    return _GroupedAttention.apply(query, key, value, tree.groups).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION_NAME, _tree_attention)
AttentionMaskInterface.register(ATTENTION_NAME, lambda *args, **kwargs: None)


def row_log_odds(model: PreTrainedModel, tree: Tree, labels: tuple[int, int]) -> torch.Tensor:
    """float32 [rows]: logit of A less logit of B at every row. The model was loaded with this module's attention."""
    hidden = model.base_model(
        input_ids=tree.input_ids, position_ids=tree.position_ids, tree=tree, use_cache=False
    ).last_hidden_state
    return log_odds_of(model, hidden[0], labels)


def log_odds_of(model: PreTrainedModel, hidden: torch.Tensor, labels: tuple[int, int]) -> torch.Tensor:
    """float32 [..]: logit of A less logit of B from the last layer's output [.., hidden_size]."""
    head = model.get_output_embeddings().weight
    return hidden.float() @ (head[labels[0]] - head[labels[1]]).float()
