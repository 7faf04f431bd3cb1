"""A minibatch of ordinary training, and a forward pass that leaves no trace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# One state a generator: the CPU's under None, then one a CUDA device.
_Random = dict[torch.device | None, Tensor]


class ModelBatch:
    """A `Batch` of a model on one process, in full precision.

    Args:
      model: on whatever devices it lies.
      compute: runs the model on the minibatch in its current mode, returns the mean loss. Both
        calls must see the same images; random layers are taken care of.

    Example:
      >>> import torch
      >>> from experiments.methods import METHODS, ModelBatch, Plan
      >>> model = torch.nn.Linear(2, 1)
      >>> training = METHODS["zenith"].start(model, Plan(lr=0.5))
      >>> x = torch.ones(4, 2)
      >>> loss = training.step(ModelBatch(model, lambda: model(x).square().mean()))
      >>> training.effective_lr()
      0.5
    """

    def __init__(self, model: nn.Module, compute: Callable[[], Tensor]) -> None:
        self._model = model
        self._compute = compute
        self._random: _Random | None = None

    def gradient(self) -> Tensor:
        """Zero the gradients, run forward and backward; return the loss, a detached scalar."""
        self._random = _random_state(self._model)
        self._model.zero_grad()
        loss = self._compute()
        loss.backward()
        return loss.detach()

    @torch.no_grad()
    def loss(self) -> Tensor:
        """The loss at the current weights: the images and random numbers of `gradient`."""
        with without_trace(self._model):
            if self._random is not None:
                _set_random_state(self._random)
            return self._compute()


@contextmanager
def without_trace(model: nn.Module) -> Iterator[None]:
    """Put buffers, random state and train mode of `model` back, bit for bit, also after an error.

    Weights and gradients are not copied: a forward pass leaves them alone. A layer whose output
    depends on a buffer that it updates itself (spectral norm) sees the buffer as it is now.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    random = _random_state(model)
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in buffers:
                setattr(module, name, buffer)
                buffer.copy_(value)
        for module, training in modes:
            module.training = training
        _set_random_state(random)


def _random_state(model: nn.Module) -> _Random:
    state: _Random = {None: torch.get_rng_state()}
    for device in {parameter.device for parameter in model.parameters()}:
        if device.type == "cuda":
            state[device] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: _Random) -> None:
    for device, value in state.items():
        if device is None:
            torch.set_rng_state(value)
        else:
            torch.cuda.set_rng_state(value, device)
