"""Two devices do what one device does on the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.keras.conftest import BACKEND

HOWS = {"tensorflow": ["mirrored"], "jax": ["data_parallel", "model_parallel"], "torch": []}[
    BACKEND
]
if not HOWS:
    pytest.skip("Keras distributes on TensorFlow and JAX only", allow_module_level=True)
# Keras clips what each replica of MirroredStrategy has before it sums: no other SGD than plain
# Keras's would agree with one device.
CLIPPED_APART = {("mirrored", "clipnorm"), ("mirrored", "clipvalue")}


@pytest.fixture(scope="module", params=HOWS)
def outcome(request):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-m", "tests.keras.devices", request.param],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        cwd=Path(__file__).parents[2],
    )
    return request.param, json.loads(done.stdout)


def test_the_state_is_equal_on_both_devices(outcome):
    _, results = outcome
    for option, result in results.items():
        replicas = result["two"]["replicas"]
        assert len(replicas) >= 7, option
        for values in replicas:
            assert len(values) == 2
            assert values[0] == values[1], option


def test_it_equals_one_device_on_the_same_global_batch(outcome):
    how, results = outcome
    assert len(results) >= 8
    for option, result in results.items():
        one, two = result["one"], result["two"]
        assert min(two["etas"]) < 0.04  # of 0.05: it moves
        if (how, option) in CLIPPED_APART:
            continue
        np.testing.assert_allclose(two["etas"], one["etas"], rtol=0, atol=1e-6, err_msg=option)
        for mine, theirs in zip(two["weights"], one["weights"], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6, err_msg=option)


def test_no_more_is_reduced_than_by_plain_sgd(outcome):
    how, results = outcome
    for option, result in results.items():
        plain, zenith = (result["two"]["all_reduces"][k] for k in ("plain", "zenith"))
        if (how, option) in CLIPPED_APART:
            # One reduction for the norm, and Keras's own after its clipping.
            assert zenith == [plain[0], 2 * plain[1]]
        elif how == "model_parallel":
            # The square of a gradient that lies on two devices in parts is a sum over both: scalars
            # are reduced besides, at most one a variable, and nothing else.
            assert result["two"]["sharded"] == 2
            assert zenith[2] == plain[2]
            assert zenith[1] <= plain[1] + 4
        else:
            assert zenith == plain, option
