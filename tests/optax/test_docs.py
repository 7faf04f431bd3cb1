"""The JAX on the pages runs, line for line."""

import jax
import jax.numpy as jnp
import optax
import pytest

import zenith.optax
from tests.pages import before_and_after, pages_to_run, run


@pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="this JAX has no jax.shard_map")
@pytest.mark.parametrize("page", pages_to_run("optax"))
def test_the_lines_to_copy_run(page, tmp_path, monkeypatch):
    pytest.importorskip("flax", reason="flax is not installed")
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "docs"}
    run(page, "optax", scope)
    if page == "docs/optax.md":
        assert scope["state"].zenith.count == 3


@pytest.mark.parametrize(
    "pair", before_and_after("optax"), ids=["cosine", "step", "warm", "plateau"]
)
def test_the_old_lines_and_the_new_ones_of_a_migration_run(pair):
    params = jnp.ones(3)
    for lines in pair:
        scope = {"optax": optax, "zenith": zenith}
        exec(lines, scope)  # noqa: S102
        optimizer = optax.with_extra_args_support(scope["optimizer"])
        updates, _ = optimizer.update(params, optimizer.init(params), params, value=1.0)
        assert jnp.all(updates < 0)
    assert optax.tree_utils.tree_get(optimizer.init(params), "ZenithState") is not None
