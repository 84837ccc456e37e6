"""Optimizer and learning rate, the same for the base model and the judge."""

from __future__ import annotations

import math

import torch
from errors import InputError

WARMUP_STEPS = 50


def build_optimizer(model: torch.nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)


def take_step(trained: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """After the backward pass: gradients of the trained parameters clipped to a norm of 1, one step, none left. `step`
    is its number from 1. Throws InputError, instead of the step, if a gradient is not a finite number."""
    norm = torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
    if not norm.isfinite():
        raise InputError(
            f"step {step}: expected gradients that are finite numbers, found a norm of {norm.item()}; "
            f"a lower --learning-rate may help"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, num_steps: int) -> None:
    """Linear warm-up, then a cosine down to 5 % of the peak."""
    warmup = min(1.0, (step + 1) / min(WARMUP_STEPS, max(1, num_steps // 10)))
    cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / num_steps))
    for group in optimizer.param_groups:
        group["lr"] = peak * warmup * cosine
