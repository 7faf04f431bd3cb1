"""One snapshot in W steps is enough for a log with every gradient norm."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.oracle import algorithm_1
from zenith.log import LogWriter, Snapshot, read_log
from zenith.optax import scale_by_zenith, snapshot, zenith

WINDOW, STEPS, ETA_0 = 8, 48, 0.1
NORMS = np.random.default_rng(0).lognormal(size=STEPS).astype("float32")

OPTIMIZERS = {
    "zenith": zenith(optax.sgd(ETA_0, momentum=0.9), WINDOW),
    "chain": optax.chain(scale_by_zenith(WINDOW), optax.sgd(ETA_0, momentum=0.9)),
}


def assert_is_the_run(log):
    rule = algorithm_1(WINDOW)
    scales = [rule(float(norm)) for norm in NORMS]
    run = log.complete()
    assert run.step.tolist() == [*range(1, STEPS + 1)]
    np.testing.assert_array_equal(np.float32(run.grad_norm), NORMS)
    np.testing.assert_allclose(run.scale, scales, rtol=1e-6)
    np.testing.assert_allclose(run.lr, [ETA_0 * scale for scale in scales], rtol=1e-6)
    assert min(scales) < 0.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loop_that_looks_once_in_eight_steps(name, tmp_path):
    optimizer, params = OPTIMIZERS[name], jnp.zeros(1)
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    with LogWriter(tmp_path / "zenith.csv") as log:
        for step, norm in enumerate(NORMS, 1):
            _, state = update(jnp.array([norm]), state, params)
            if step % 8 == 0:
                log.write(snapshot(state, step, learning_rate=ETA_0))
    assert_is_the_run(read_log(tmp_path / "zenith.csv"))


def test_a_scan_is_looked_at_after_it(tmp_path):
    optimizer, params = OPTIMIZERS["zenith"], jnp.zeros(1)
    state = optimizer.init(params)

    @jax.jit
    def scan(state, norms):
        def step(state, norm):
            return optimizer.update(norm[None], state, params)[1], None

        return jax.lax.scan(step, state, norms)[0]

    with LogWriter(tmp_path / "zenith.csv") as log:
        for chunk in range(0, STEPS, WINDOW):
            state = scan(state, jnp.array(NORMS[chunk : chunk + WINDOW]))
            log.write(snapshot(state, chunk + WINDOW, learning_rate=ETA_0))
    assert_is_the_run(read_log(tmp_path / "zenith.csv"))


def test_a_snapshot_is_on_the_host_and_names_eta():
    optimizer, params = zenith(optax.sgd(ETA_0), 1), jnp.zeros(1)
    state = optimizer.init(params)
    for norm in (4.0, 1.0):
        _, state = optimizer.update(jnp.array([norm]), state, params)
    shown = snapshot(state, step=2, learning_rate=ETA_0)
    assert isinstance(shown, Snapshot)
    assert (shown.step, shown.lr) == (2, pytest.approx(ETA_0 / 4))
    assert all(isinstance(field, np.ndarray | np.generic) for field in shown.state)


def test_a_state_without_zenith_or_of_many_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="exactly one ZENITH state"):
        snapshot(optax.sgd(0.1).init(jnp.zeros(1)), 1, 0.1)
    many = jax.vmap(OPTIMIZERS["zenith"].init)(jnp.zeros((3, 1)))
    with pytest.raises(ValueError, match="that of one run"):
        snapshot(many, 1, 0.1)
