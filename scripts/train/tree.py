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
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

ATTENTION_NAME = "tree"
ROWS_PER_GROUP = 256
"""Neighbouring rows of the trunk, or of whole branches, whose attention runs in one call."""


@dataclass(frozen=True)
class Judged:
    """A chunk to judge: it stands at token `start` of the trunk, its ids may be others than the trunk's there."""

    start: int
    ids: list[int]


Span = tuple[int, int, int]
"""Rows [begin, end) in a row that attend to the trunk's first n rows and, causally, to each other: begin, end, n."""


@dataclass
class _Group:
    """Rows [begin, end) attend to the trunk's first `prefix` rows and to each other, as far as `bias` allows."""

    begin: int
    end: int
    prefix: int
    bias: torch.Tensor  # [end - begin, prefix + end - begin]: 0 or -inf


@dataclass
class Tree:
    """Input of one pass. `last_rows[i]` is the row whose logits answer prompt i; branch i starts at `first_rows[i]`."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    first_rows: torch.Tensor
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
    first_rows: list[int] = []
    groups = []
    for begin in range(0, len(trunk), ROWS_PER_GROUP):
        groups.append(_group([(begin, min(begin + ROWS_PER_GROUP, len(trunk)), begin)]))
    members: list[Span] = []
    for prompt, prefix in zip(prompts, prefixes, strict=True):
        members.append((len(rows), len(rows) + len(prompt) - prefix, prefix))
        first_rows.append(len(rows))
        rows += prompt[prefix:]
        positions += range(prefix, len(prompt))
        last_rows.append(len(rows) - 1)
        if len(rows) - members[0][0] >= ROWS_PER_GROUP:
            groups.append(_group(members))
            members = []
    if members:
        groups.append(_group(members))

    return Tree(
        input_ids=torch.tensor([rows]),
        position_ids=torch.tensor([positions]),
        first_rows=torch.tensor(first_rows),
        last_rows=torch.tensor(last_rows),
        groups=groups,
    )


def _group(spans: list[Span]) -> _Group:
    begin, end, prefix = spans[0][0], spans[-1][1], max(span[2] for span in spans)
    bias = torch.full((end - begin, prefix + end - begin), float("-inf"))
    for first, last, own_prefix in spans:
        bias[first - begin : last - begin, :own_prefix] = 0
        causal = torch.full((last - first, last - first), float("-inf")).triu(1)
        bias[first - begin : last - begin, prefix + first - begin : prefix + last - begin] = causal
    return _Group(begin, end, prefix, bias)


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
    outputs = []
    for group in tree.groups:
        keys, values = (
            torch.cat([x[:, :, : group.prefix], x[:, :, group.begin : group.end]], dim=2) for x in (key, value)
        )
        scores = query[:, :, group.begin : group.end] @ keys.transpose(2, 3) + group.bias.to(value.dtype)
        outputs.append(torch.softmax(scores, dim=-1, dtype=value.dtype) @ values)
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION_NAME, _tree_attention)
AttentionMaskInterface.register(ATTENTION_NAME, lambda *args, **kwargs: None)


def row_log_odds(model: PreTrainedModel, tree: Tree, labels: tuple[int, int]) -> torch.Tensor:
    """float32 [rows]: logit of A less logit of B at every row. The model was loaded with this module's attention."""
    hidden = model.model(input_ids=tree.input_ids, position_ids=tree.position_ids, tree=tree).last_hidden_state
    chosen, rejected = (model.lm_head.weight[i] for i in labels)
    return hidden[0].float() @ (chosen - rejected).float()


def tree_log_odds(model: PreTrainedModel, tree: Tree, labels: tuple[int, int]) -> torch.Tensor:
    """float32 [number of chunks]: the answers, that is the log_odds at the last row of each prompt."""
    return row_log_odds(model, tree, labels)[tree.last_rows]
