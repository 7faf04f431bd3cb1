"""Global L2 norm of the gradients that an optimizer is about to apply."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportMissingModuleSource=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false
# (one backend is installed, not three, and none of them is annotated in full)

from collections.abc import Iterator, Sequence

import keras

from zenith.keras._rule import Tensor

# A float32 sum of squares of torch on the CPU is biased on large tensors: -1e-5 at 1M elements,
# -1.4e-3 at 25M. Views of at most this many elements bring that to -1.4e-6. TensorFlow and XLA sum
# in a tree: 4e-8 at 25M.
_LARGEST_VIEW = 2**18


def grad_norm(grads: Sequence[Tensor | None]) -> Tensor:
    """Global L2 norm over every gradient, accumulated in float32 or better.

    Repeated rows of a sparse gradient are added up first: Keras's and TensorFlow's own global norms
    count them apart (5.10 in place of 5.83 for the rows 3 and 4 and again 3). Complex gradients
    count with both parts, None is left out. The squares are float32, so that a norm above 1.8e19 is
    infinite, and the rule skips it.

    Args:
      grads: gradients of any shapes and floating dtypes, in the tensors of the backend; at least
        one of them is not None.

    Returns:
      A float32 scalar, out of the graph of gradients.

    Source: ||grad L(theta_t)||_2, arXiv 2601.15212, Algorithm 1.
    """
    return _NORMS[keras.backend.backend()]([grad for grad in grads if grad is not None])


def _tensorflow(grads: list[Tensor]) -> Tensor:
    import tensorflow as tf

    def half_square(grad: Tensor) -> Tensor:
        grad = tf.convert_to_tensor(grad)  # IndexedSlices become dense
        if grad.dtype.is_complex:
            grad = tf.stack([tf.math.real(grad), tf.math.imag(grad)])
        if grad.dtype in (tf.float16, tf.bfloat16):
            grad = tf.cast(grad, tf.float32)
        return tf.cast(tf.nn.l2_loss(grad), tf.float32)

    return tf.stop_gradient(tf.sqrt(2 * tf.add_n([half_square(grad) for grad in grads])))


def _jax(grads: list[Tensor]) -> Tensor:
    import jax.numpy as jnp
    from jax import lax
    from jax.experimental.sparse import JAXSparse

    def square(grad: Tensor) -> Tensor:
        if isinstance(grad, JAXSparse):
            grad = grad.todense()
        if jnp.iscomplexobj(grad):
            grad = jnp.stack([grad.real, grad.imag])
        if grad.dtype in (jnp.float16, jnp.bfloat16):
            grad = grad.astype(jnp.float32)
        return jnp.sum(jnp.square(grad)).astype(jnp.float32)

    return lax.stop_gradient(jnp.sqrt(sum(square(grad) for grad in grads)))


def _torch(grads: list[Tensor]) -> Tensor:
    import torch

    def real_views(grad: Tensor) -> Iterator[Tensor]:
        grad = grad.detach()
        if grad.is_sparse:
            grad = grad.coalesce().values()
        if grad.is_complex():
            grad = torch.view_as_real(grad)
        if grad.dtype in (torch.float16, torch.bfloat16):
            grad = grad.float()
        if grad.numel() <= _LARGEST_VIEW or grad.device.type != "cpu":
            yield grad
        else:
            # In the order of memory; pieces with gaps are as biased as the whole (-3e-5 at 4M).
            by_stride = sorted(range(grad.ndim), key=grad.stride, reverse=True)
            yield from grad.permute(by_stride).reshape(-1).split(_LARGEST_VIEW)

    # What torch's own clip_grad_norm_ computes with: one call for all.
    norms = torch._foreach_norm(  # pyright: ignore[reportPrivateImportUsage]
        [view for grad in grads for view in real_views(grad)]
    )
    device = norms[0].device
    stacked = torch.stack([norm.to(device, torch.float32) for norm in norms])
    return torch.linalg.vector_norm(stacked)


_NORMS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
