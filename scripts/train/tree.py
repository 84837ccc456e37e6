"""One forward pass for all prompts of a document: a trunk with branches.

The prompts of a document share their beginnings. The trunk is the document's own ids; branch i is what prompt i has
after its longest common prefix with the trunk:

    trunk     t0 t1 t2 t3 t4 t5 t6 t7 ..
    branch 0  |  b b b b                 attends to t[:prefix] and to itself
    branch 1        |  b b b b           (position = place in its own prompt)

Rows of the pass: the trunk, then the branches one behind another. The numbers are those of one pass per prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from prompt import decode, encode, prompt_text
from tokenizers import Tokenizer
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

ATTENTION_NAME = "tree"
ROWS_PER_GROUP = 240
"""Neighbouring branches whose attention runs in one call."""


@dataclass(frozen=True)
class Judged:
    """A chunk to judge: it stands at token `start` of the trunk, its ids may be others than the trunk's there."""

    start: int
    ids: list[int]


@dataclass
class _Group:
    """Rows [begin, end) attend to the trunk's first `prefix` rows and to each other, as far as `mask` allows."""

    begin: int
    end: int
    prefix: int
    mask: torch.Tensor


@dataclass
class Tree:
    """Input of one pass. `last_rows[i]` is the row whose logits answer prompt i."""

    num_trunk: int
    input_ids: torch.Tensor
    position_ids: torch.Tensor
    last_rows: torch.Tensor
    groups: list[_Group] = field(default_factory=list)


def _common_prefix(a: list[int], b: list[int]) -> int:
    limit = min(len(a), len(b))
    return next((i for i in range(limit) if a[i] != b[i]), limit)


def prompt_ids(tokenizer: Tokenizer, ids: list[int], judged: Judged) -> list[int]:
    """The whole prompt, tokenised as one string."""
    text = prompt_text(decode(tokenizer, ids[: judged.start]), decode(tokenizer, judged.ids))
    return encode(tokenizer, text)


def build_tree(tokenizer: Tokenizer, ids: list[int], judged: list[Judged]) -> Tree:
    """The tree of a document's ids and the chunks to judge, which are sorted by `start`."""
    trunk = encode(tokenizer, decode(tokenizer, ids))
    prompts = [prompt_ids(tokenizer, ids, j) for j in judged]
    prefixes = [min(_common_prefix(trunk, prompt), len(prompt) - 1) for prompt in prompts]
    trunk = trunk[: max(prefixes)]  # rows behind the last shared one serve nobody

    rows, positions, last_rows = list(trunk), list(range(len(trunk))), []
    groups: list[tuple[int, int, int, list[tuple[int, int, int]]]] = []
    members: list[tuple[int, int, int]] = []  # begin row, end row, prefix
    for prompt, prefix in zip(prompts, prefixes, strict=True):
        members.append((len(rows), len(rows) + len(prompt) - prefix, prefix))
        rows += prompt[prefix:]
        positions += range(prefix, len(prompt))
        last_rows.append(len(rows) - 1)
        if len(rows) - members[0][0] >= ROWS_PER_GROUP:
            groups.append((members[0][0], len(rows), max(m[2] for m in members), members))
            members = []
    if members:
        groups.append((members[0][0], len(rows), max(m[2] for m in members), members))

    return Tree(
        num_trunk=len(trunk),
        input_ids=torch.tensor([rows]),
        position_ids=torch.tensor([positions]),
        last_rows=torch.tensor(last_rows),
        groups=[_Group(begin, end, prefix, _group_mask(begin, end, prefix, m)) for begin, end, prefix, m in groups],
    )


def _group_mask(begin: int, end: int, prefix: int, members: list[tuple[int, int, int]]) -> torch.Tensor:
    """bool [end - begin, prefix + end - begin]: may this row see that trunk row or group row?"""
    mask = torch.zeros(end - begin, prefix + end - begin, dtype=torch.bool)
    for first, last, own_prefix in members:
        mask[first - begin : last - begin, :own_prefix] = True
        own = prefix + first - begin
        causal = torch.ones(last - first, last - first, dtype=torch.bool).tril()
        mask[first - begin : last - begin, own : own + last - first] = causal
    return mask


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
    repeats = query.shape[1] // key.shape[1]
    query, key = query.to(value.dtype), key.to(value.dtype)  # rotary leaves autocast's bfloat16
    key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)

    def attend(begin: int, end: int, keys: torch.Tensor, values: torch.Tensor, **options: object) -> torch.Tensor:
        return scaled_dot_product_attention(query[:, :, begin:end], keys, values, scale=scaling, **options)

    outputs = []
    if (trunk := tree.num_trunk) > 0:
        outputs.append(attend(0, trunk, key[:, :, :trunk], value[:, :, :trunk], is_causal=True))
    for group in tree.groups:
        keys, values = (
            torch.cat([x[:, :, : group.prefix], x[:, :, group.begin : group.end]], dim=2) for x in (key, value)
        )
        outputs.append(attend(group.begin, group.end, keys, values, attn_mask=group.mask))
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION_NAME, _tree_attention)
AttentionMaskInterface.register(ATTENTION_NAME, lambda *args, **kwargs: None)


def tree_log_odds(model: PreTrainedModel, tree: Tree, labels: tuple[int, int]) -> torch.Tensor:
    """float32 [number of chunks]: logit of A less logit of B. The model was loaded with this module's attention."""
    hidden = model.model(input_ids=tree.input_ids, position_ids=tree.position_ids, tree=tree).last_hidden_state
    chosen, rejected = (model.lm_head.weight[i] for i in labels)
    return hidden[0, tree.last_rows].float() @ (chosen - rejected).float()
