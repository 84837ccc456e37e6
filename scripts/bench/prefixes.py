"""What prompts of one document have in common: a trunk that is computed once, and a branch for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.prompts import Prompt

LONG_BRANCH = 512
"""Ids. A prompt that shares so little is the end of another trunk (its context has lost its beginning)."""


@dataclass(frozen=True)
class Branch:
    """The prompt `index` is trunk[:shared] + ids; ids is never empty, its last one is where the judge answers."""

    index: int
    shared: int
    ids: Prompt


@dataclass
class Trunk:
    ids: Prompt
    branches: list[Branch] = field(default_factory=list)

    @property
    def num_rows(self) -> int:
        return len(self.ids) + sum(len(branch.ids) for branch in self.branches)


def common_prefix(a: Prompt, b: Prompt) -> int:
    """Number of ids that both begin with; by halving, since slices compare much faster than ids in a loop."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def make_trunks(prompts: Sequence[Prompt]) -> list[Trunk]:
    """Trunks in the order of their prompts. Ids may merge across the joints, so that only comparing tells."""
    trunks: list[Trunk] = []
    end = len(prompts)
    while end > 0:
        last = prompts[end - 1]  # has the longest context
        branches = [Branch(end - 1, 0, last)]
        begin = end - 1
        while begin > 0:
            prompt = prompts[begin - 1]
            # Never the whole prompt: the row that answers has to be computed.
            shared = min(common_prefix(prompt, last), len(prompt) - 1)
            if len(prompt) - shared > LONG_BRANCH:
                break
            branches.append(Branch(begin - 1, shared, prompt[shared:]))
            begin -= 1
        trunks.append(_with_last_branch(last, branches))
        end = begin
    return trunks[::-1]


def _with_last_branch(last: Prompt, branches: list[Branch]) -> Trunk:
    """The last prompt is a branch, too: what it alone has is no part of the trunk."""
    length = max((branch.shared for branch in branches[1:]), default=0)
    branches[0] = Branch(branches[0].index, length, last[length:])
    return Trunk(last[:length], sorted(branches, key=lambda branch: branch.index))
