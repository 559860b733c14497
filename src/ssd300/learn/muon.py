"""Muon (Jordan et al. 2024): a step in which all directions of a kernel learn at the same rate.

The momentum of a kernel is replaced by the nearest orthogonal matrix: https://kellerjordan.github.io/posts/muon/.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# An orthogonal matrix times this and the root of its longer side has the root mean square of a step of AdamW, so that
# one learning rate serves both (Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2).
_SCALE = 0.2
# The quintic of Jordan et al.: five times applied, it brings singular values of 0.01 to 1 between 0.68 and 1.14.
_QUINTIC = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
# Rows of a kernel that are made orthogonal at once; more take longer and learn no more (docs/research/ablation.md).
_ROWS = 128


class Muon(torch.optim.AdamW):
    """Muon for the kernels of convolutions [O, I, H, W], AdamW for biases and batch norms.

    Args:
        params: parameters or groups of them, as for AdamW.
        lr: learning rate of both.
        momentum: decay of the gradients' average, in kernels with Nesterov's look ahead; the first beta of AdamW.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, lr=lr, betas=(momentum, 0.999), foreach=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step, as of any optimizer of torch. The gradients of kernels are cleared."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.dim() == 4 and kernel.grad is not None:
                    self._step_kernel(kernel, kernel.grad, group)
                    kernel.grad = None  # AdamW passes over parameters without a gradient
        super().step()
        return loss

    def _step_kernel(self, kernel: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, momentum = self.state[kernel], group["betas"][0]
        if not state:  # as AdamW's, whose loading needs a step
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(kernel))
        average = state["exp_avg"].lerp_(gradient, 1 - momentum)
        matrix = gradient.lerp(average, momentum).flatten(1)  # [O, I * H * W]
        parts = [orthogonalize(part) * max(part.shape) ** 0.5 for part in torch.split(matrix, _ROWS)]
        kernel.mul_(1 - group["lr"] * group["weight_decay"])
        kernel.add_(torch.cat(parts).view_as(kernel), alpha=-group["lr"] * _SCALE)


def orthogonalize(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, roughly: the same singular vectors, and singular values of 0.68 to 1.14. [M, N]

    Newton and Schulz's iteration, all of it on the small product of the matrix with itself: a third of the operations
    for M = 256, N = 2304.

    >>> orthogonalize(torch.tensor([[3.0, 0.0], [0.0, -0.1]])).abs() > 0.6
    tensor([[ True, False],
            [False,  True]])
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T).T
    a, b, c = _QUINTIC
    matrix = matrix / (matrix.norm() + 1e-12)  # a gradient of zeros stays one
    square = matrix @ matrix.T  # [M, M]
    product = square.new_ones(len(square)).diag()
    for _ in range(_ITERATIONS):
        factor = torch.addmm(square, square, square, beta=b, alpha=c)
        factor.diagonal().add_(a)
        square = factor @ square @ factor
        product = factor @ product
    return product @ matrix
