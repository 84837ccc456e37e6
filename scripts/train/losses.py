"""What a judge says of a document's chunks, and the losses that compare chunks and texts of one document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from examples import Example
from torch.nn.functional import softplus
from versions import REAL

Earlier = tuple[torch.Tensor, torch.Tensor]
"""log_odds of a document's rejected and chosen chunks in the passes before, numbers without gradient."""


@dataclass
class Answers:
    """What a pass says of some examples: log_odds [chunks], and per chunk its loss [chunks], the sum of the letter's
    and of those that the options add: token, pair and document loss, each with its weight."""

    log_odds: torch.Tensor
    losses: torch.Tensor
    labels: torch.Tensor
    examples: list[Example]

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        return Answers(
            torch.cat([part.log_odds for part in parts]),
            torch.cat([part.losses for part in parts]),
            torch.cat([part.labels for part in parts]),
            [example for part in parts for example in part.examples],
        )


def pair_losses(log_odds: torch.Tensor, labels: torch.Tensor, earlier: Earlier) -> tuple[torch.Tensor, Earlier]:
    """Of each chunk [chunks], the mean Bradley-Terry loss against all chunks of the other label: those of this pass and
    those of the document's earlier ones. Second: `earlier` for the next pass."""
    is_chosen = labels > 0.5
    earlier = earlier[0].to(log_odds.device), earlier[1].to(log_odds.device)
    losses = torch.zeros_like(log_odds)
    for own, other in ((False, True), (True, False)):
        others = torch.cat([log_odds[is_chosen == other], earlier[other]])
        if len(others):
            margins = (log_odds[is_chosen == own, None] - others) * (1 if own else -1)
            losses[is_chosen == own] = softplus(-margins).mean(1)
    rejected, chosen = (torch.cat([earlier[label], log_odds[is_chosen == label].detach()]) for label in (False, True))
    return losses, (rejected, chosen)


def document_losses(answers: Answers) -> torch.Tensor:
    """Of each chunk [chunks] of a text made worse, the Bradley-Terry loss of its text's mean log_odds against the real
    one's; 0 for the others.

    A text's mean is that of its examples, its labelled chunks; the rest of it is not among them. Each of them carries
    the loss: the more labelled chunks a text has, the more it weighs."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    real = []
    for row, example in enumerate(answers.examples):
        if example.version and example.kind == REAL:
            real.append(row)
        elif example.version:
            rows_of[example.version].append(row)
    losses = torch.zeros_like(answers.log_odds)
    for rows in rows_of.values() if real else ():
        margin = answers.log_odds[real].mean() - answers.log_odds[rows].mean()
        losses[rows] = softplus(-margin)
    return losses
