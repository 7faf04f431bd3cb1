"""What Zenith adds to a step, against torch's own clip_grad_norm_ on the same parameters.

    pytest benchmarks/test_torch_hook.py

Both are timed in turns within one process, so the ratio holds on a busy machine where the times do
not. The table shows microseconds a call; `ratio` is the median over the pairs.
"""

import statistics
import time
from collections.abc import Callable

import pytest
import torch

from benchmarks import shapes
from zenith.torch import Zenith

MODELS = {"mlp": shapes.mlp, "vgg19": shapes.vgg19, "resnet50": shapes.resnet50}


def seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["float-lr", "tensor-lr"])
@pytest.mark.parametrize("model", MODELS)
def test_hook(benchmark, model, lr):
    torch.set_num_threads(1)
    parameters = [torch.nn.Parameter(torch.randn(shape) / 10) for shape in MODELS[model]()]
    for p in parameters:
        p.grad = torch.randn_like(p)
    optimizer = torch.optim.SGD(parameters, lr=lr)
    Zenith(optimizer)
    # The hooks as optimizer.step() runs them, without the step.
    before, after = (
        [*hooks.values()][-1]
        for hooks in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    )

    def hook() -> None:
        before(optimizer, (optimizer,), {})
        after(optimizer, (optimizer,), {})

    def clip() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, 1e9)

    times = 500 if model == "mlp" else 5
    pairs = [(seconds(hook, times), seconds(clip, times)) for _ in range(21)]
    ratios = [mine / theirs for mine, theirs in pairs[1:]]
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.pedantic(hook, rounds=20, iterations=times)
    quartiles = statistics.quantiles(ratios, n=4)
    print(
        f"\n{model:9} {optimizer.param_groups[0]['lr']!s:12} hook / clip_grad_norm_: "
        f"{quartiles[1]:.2f} (IQR {quartiles[0]:.2f} to {quartiles[2]:.2f}), "
        f"hook {1e6 * statistics.median(mine for mine, _ in pairs):.0f} us"
    )
