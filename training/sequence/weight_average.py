"""Running average of a network's weights during training: steadier than a single step, and better on new users.

After Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), with weights that fall off.
At first it averages about the last ninth of the steps, so that a short training is not dominated by its random
initialisation.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """Returns the average, initialised from the network; `update_parameters(network)` after each step moves it.

    Args:
        network: the network trained. Buffers are copied.
        decay: the largest share of the old average that a step keeps, 0 to below 1; 0 follows the network.
    """

    @torch.no_grad()
    def move(averages: list[Tensor], currents: list[Tensor], step_count: Tensor) -> None:
        count = int(step_count)
        kept = min(decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(averages, currents, 1 - kept)

    return AveragedModel(network, multi_avg_fn=move)
