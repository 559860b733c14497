"""Cross-entropy over few targets: the gradient is one pass over the class scores, whatever the targets are."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def weighted_entropy(logits: Tensor, log_p: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum of -weight * log_p at the given places; differentiable by `logits`, never by `weight`.

    Args:
        logits: [B, K, P] in any precision; log_p: their float32 log_softmax(1), without gradient.
        index: [E] places in the flattened [B, K, P], which may repeat; weight: [E].
    """
    out: Tensor = _WeightedEntropy.apply(logits, log_p, index, weight)  # type: ignore[no-untyped-call]
    return out


class _WeightedEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, log_p: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(log_p, index, weight)
        ctx.dtype = logits.dtype  # type: ignore[attr-defined]
        return -(log_p.reshape(-1)[index] * weight).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """d/dlogits = softmax * (sum of a prior's weights) - the weights at their places."""
        log_p, index, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        batch, classes, priors = log_p.shape
        weight = weight * grads[0]
        prior = index // (classes * priors) * priors + index % priors
        total = torch.zeros(batch * priors, device=weight.device).index_add_(0, prior, weight)
        grad = log_p.exp().mul_(total.reshape(batch, 1, priors))
        grad.reshape(-1).index_add_(0, index, weight, alpha=-1)
        return grad.to(ctx.dtype), None, None, None  # type: ignore[attr-defined]
