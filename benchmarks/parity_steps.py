"""One training step in each front end: plain, with the framework's own clipping, and with ZENITH.

Each `in_...` function builds the three for one net and returns them as functions that take a number
of steps and return when these are done. The net is a perceptron with tanh between its layers.
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Steps = Callable[[int], object]
CLIP = 1.0
LEARNING_RATE = 1e-3
MOMENTUM = 0.9


def in_torch(widths: Sequence[int], batch: int, tensor_lr: bool) -> dict[str, Steps]:
    import torch
    from torch import nn

    from zenith.torch import Zenith

    images, labels = (torch.from_numpy(array) for array in _data(widths, batch))

    def contender(kind: str) -> Steps:
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        net = nn.Sequential(*layers[:-1])
        lr = torch.tensor(LEARNING_RATE) if tensor_lr else LEARNING_RATE
        optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=MOMENTUM)
        if kind == "zenith":
            Zenith(optimizer)

        def steps(count: int) -> None:
            for _ in range(count):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(images), labels).backward()
                if kind == "clip":
                    nn.utils.clip_grad_norm_(net.parameters(), CLIP)
                optimizer.step()

        return steps

    return {kind: contender(kind) for kind in ("plain", "clip", "zenith")}


def in_optax(widths: Sequence[int], batch: int) -> dict[str, Steps]:
    import jax
    import jax.numpy as jnp
    import optax

    from zenith.optax import zenith

    images, labels = map(jnp.asarray, _data(widths, batch))

    def loss(weights: Any) -> jax.Array:
        hidden = images
        for index, (kernel, bias) in enumerate(weights):
            hidden = (jnp.tanh(hidden) if index else hidden) @ kernel + bias
        return optax.softmax_cross_entropy_with_integer_labels(hidden, labels).mean()

    def contender(optimizer: Any) -> Steps:
        rng = np.random.default_rng(0)
        weights: Any = []
        for inputs, outputs in pairwise(widths):
            kernel = rng.normal(0, inputs**-0.5, (inputs, outputs))
            weights.append((jnp.asarray(kernel, jnp.float32), jnp.zeros(outputs)))
        state = optimizer.init(weights)

        def update(weights: Any, state: Any) -> tuple[Any, Any]:
            updates, state = optimizer.update(jax.grad(loss)(weights), state, weights)
            return optax.apply_updates(weights, updates), state

        step = jax.jit(update, donate_argnums=(0, 1))

        def steps(count: int) -> None:
            nonlocal weights, state
            for _ in range(count):
                weights, state = step(weights, state)
            jax.block_until_ready(weights)

        return steps

    sgd = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    return {
        "plain": contender(sgd),
        "clip": contender(optax.chain(optax.clip_by_global_norm(CLIP), sgd)),
        "zenith": contender(zenith(sgd)),
    }


def in_keras(widths: Sequence[int], batch: int) -> dict[str, Steps]:
    import keras

    from zenith.keras import Zenith

    images, labels = _data(widths, batch)
    warnings.simplefilter("ignore")  # of the frameworks

    def contender(kind: str) -> Steps:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Input((widths[0],))])
        for outputs in widths[1:-1]:
            model.add(keras.layers.Dense(outputs, activation="tanh"))
        model.add(keras.layers.Dense(widths[-1]))
        clip = {"global_clipnorm": CLIP} if kind == "clip" else {}
        model.compile(
            keras.optimizers.SGD(LEARNING_RATE, MOMENTUM, **clip),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        callbacks = [Zenith()] if kind == "zenith" else []

        def steps(count: int) -> None:
            x, y = np.tile(images, (count, 1)), np.tile(labels, count)
            model.fit(x, y, batch_size=batch, shuffle=False, verbose=0, callbacks=callbacks)

        return steps

    return {kind: contender(kind) for kind in ("plain", "clip", "zenith")}


def _data(widths: Sequence[int], batch: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, widths[0])).astype(np.float32)
    return images, rng.integers(0, widths[-1], batch)
