"""The global norm of whatever a gradient can be, against float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zenith.torch import grad_norm


def exact(*dense: torch.Tensor) -> float:
    parts = [torch.view_as_real(t) if t.is_complex() else t for t in dense]
    return float(torch.stack([t.double().norm() for t in parts]).norm())


@given(
    st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=6),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]),
    st.integers(0, 2**31),
)
def test_any_shapes_and_dtypes(shapes, dtype, seed):
    torch.manual_seed(seed)
    grads = [torch.randn(shape).to(dtype) for shape in shapes]
    norm = grad_norm(grads)
    assert norm.dtype == torch.float32
    assert norm.shape == ()
    assert float(norm) == pytest.approx(exact(*grads), rel=5e-7)


def test_dtypes_mixed_in_one_model():
    dtypes = [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.complex64]
    grads = [torch.randn(50).to(dtype) for dtype in dtypes]
    assert float(grad_norm(grads)) == pytest.approx(exact(*grads), rel=5e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_many_elements_of_a_half_type_are_not_accumulated_in_it(dtype):
    for grad in [torch.full((10_000,), 0.1, dtype=dtype), torch.rand(2**19).to(dtype)]:
        assert float(grad_norm([grad])) == pytest.approx(exact(grad), rel=2e-7)


# torch's own notices, shown once a process
@pytest.mark.filterwarnings("ignore:Sparse (invariant|CSR)")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_gradients_count_repeated_rows_once_summed(layout):
    if layout is torch.sparse_coo:
        # Row 1 twice: 3 + 4 = 7, and not sqrt(3^2 + 4^2) = 5.
        grad = torch.sparse_coo_tensor([[1, 1, 2]], [3.0, 4.0, 1.0], (5,))
    else:
        grad = torch.eye(5).mul(3).to_sparse_csr()
    dense = torch.ones(3)
    assert float(grad_norm([grad, dense])) == pytest.approx(exact(grad.to_dense(), dense))


@pytest.mark.filterwarnings("ignore:Sparse invariant")
def test_an_embedding_with_sparse_gradients():
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    embedding(torch.tensor([1, 1, 2, 7])).square().sum().backward()
    grad = embedding.weight.grad
    assert grad.is_sparse
    assert float(grad_norm([grad])) == pytest.approx(exact(grad.to_dense()), rel=1e-6)


def test_none_is_left_out_and_the_same_tensor_counts_once():
    grad = torch.tensor([3.0, 4.0])
    assert float(grad_norm([None, grad, None, grad])) == 5.0


def test_no_gradient_at_all_is_0():
    assert float(grad_norm([None])) == 0.0
    assert float(grad_norm([torch.zeros(0)])) == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda grad: grad,
        lambda grad: grad.view(2048, 2048).t(),
        lambda grad: grad.view(64, 64, 32, 32).to(memory_format=torch.channels_last),
        lambda grad: grad.view(2048, 2048)[:, ::2],
    ],
    ids=["contiguous", "transposed", "channels last", "with gaps"],
)
def test_a_large_gradient_on_the_cpu_is_not_biased(make):
    torch.manual_seed(0)
    grad = make(torch.rand(2**22))
    reference = exact(grad)
    assert float(grad_norm([grad])) == pytest.approx(reference, rel=2e-6)
    # The reason for the views: one float32 sum over all elements is biased.
    assert float(torch.linalg.vector_norm(grad.flatten())) < reference * (1 - 2e-6)


def test_the_norm_is_out_of_the_graph():
    grad = torch.ones(3, requires_grad=True)
    assert not grad_norm([grad * 2]).requires_grad
