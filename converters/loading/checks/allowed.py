"""The operators that an untrusted TorchScript or .pt2 file may run.

The list has the operators in the files that torch.jit.trace, torch.jit.script, torch.export and
run_decompositions write for the classifiers of torchvision, timm and transformers
(docs/conversion/safety.md names them), and similar operators that can be exported to ONNX. Each of
them computes a new tensor from whole tensors, or checks indices before it uses them, or is a view
that torch checks against its memory.

Never allowed are operators that read or write files (`save`, `from_file`); that address or resize
memory by numbers in the file (`set_`, `resize_`, `_reshape_alias`,
`inductor::_reinterpret_tensor`); internal operators whose callers make the checks
(`_embedding_bag`, `_unsafe_index`, `_sparse_*`, `_nested_*`); all `out=` forms except a few;
quantized and custom classes; and all namespaces except `aten` and the primitives below. `empty` and
similar operators return filled memory (see torch_source.py), so they reveal none of this process.
"""

from __future__ import annotations

from typing import Final


def _names(text: str, prefix: str = "") -> frozenset[str]:
    return frozenset(f"{prefix}{name}" for name in text.split())


# Element-wise operators; each is also allowed in place, such as add_.
_ELEMENTWISE: Final = """
    abs acos acosh add addcdiv addcmul alpha_dropout asin asinh atan atan2 atanh bernoulli
    bitwise_and bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min clip
    cos cosh deg2rad div divide dropout elu eq erf erfc exp exp2 expm1
    fake_quantize_per_channel_affine fake_quantize_per_tensor_affine feature_alpha_dropout
    feature_dropout fill floor floor_divide floordiv fmod frac ge gelu greater greater_equal
    gt hardshrink hardsigmoid hardswish hardtanh hypot le leaky_relu lerp less less_equal log
    log10 log1p log2 log_sigmoid logical_and logical_not logical_or logical_xor logit lt
    masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative not_equal pow
    prelu rad2deg reciprocal relu relu6 remainder round rrelu rsqrt rsub selu sgn sigmoid sign
    silu sin sinh softplus softshrink sqrt square sub subtract tan tanh threshold true_divide
    trunc xlogy zero
"""

_REDUCTIONS: Final = """
    all amax amin aminmax any argmax argmin argsort cosine_similarity count_nonzero cummax
    cummin cumprod cumsum frobenius_norm linalg_matrix_norm linalg_norm linalg_vector_norm
    _log_softmax log_softmax logsumexp max mean median min norm nuclear_norm prod _softmax
    softmax sort std std_mean sum topk var var_mean
"""

_SHAPES: Final = """
    alias atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to cat
    channel_shuffle chunk clone column_stack concat concatenate constant_pad_nd contiguous
    copy copy_ detach detach_ diag diag_embed diagonal dsplit dstack expand expand_as flatten
    flip fliplr flipud hsplit hstack index_select lift lift_fresh lift_fresh_copy matrix_H
    meshgrid mH moveaxis movedim mT narrow numpy_T pad permute pixel_shuffle pixel_unshuffle
    ravel reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave
    replication_pad1d replication_pad2d replication_pad3d reshape reshape_as roll rot90 select
    select_scatter slice slice_scatter split split_with_sizes squeeze squeeze_ stack swapaxes
    swapdims t tensor_split tile transpose transpose_ tril triu unbind unflatten unfold
    unsafe_chunk unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze unsqueeze_ view
    view_as vsplit vstack
"""

# Each of these checks indices before it uses them.
_INDEXED: Final = """
    bucketize embedding gather index index_add index_copy index_fill index_put index_put_
    masked_select nonzero nonzero_numpy one_hot scatter scatter_ scatter_add searchsorted take
    take_along_dim unique_consecutive where
"""

_LAYERS: Final = """
    adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    affine_grid_generator avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear col2im conv1d
    conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d _convolution convolution
    _convolution_mode _fused_rms_norm glu grid_sampler grid_sampler_2d group_norm gru im2col
    instance_norm layer_norm linear lstm max_pool1d max_pool1d_with_indices max_pool2d
    max_pool2d_with_indices max_pool3d max_pool3d_with_indices native_batch_norm
    _native_batch_norm_legit _native_batch_norm_legit_no_training native_group_norm
    native_layer_norm pairwise_distance rms_norm rnn_relu rnn_tanh
    scaled_dot_product_attention _scaled_dot_product_flash_attention_for_cpu unfold
    upsample_bicubic2d _upsample_bicubic2d_aa upsample_bilinear2d _upsample_bilinear2d_aa
    _upsample_lanczos2d_aa upsample_linear1d upsample_nearest1d upsample_nearest2d
    upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_trilinear3d _weight_norm
"""

_PRODUCTS: Final = """
    addbmm addmm addmv baddbmm bmm cdist chain_matmul cross dot einsum inner kron linalg_cross
    linalg_multi_dot matmul mm mv outer tensordot
"""

_CREATION: Final = """
    arange as_tensor empty empty_like empty_permuted eye full full_like hann_window linspace
    new_empty new_full new_ones new_zeros normal normal_ ones ones_like rand rand_like randint
    randint_like randn randn_like randperm scalar_tensor tensor uniform_ zeros zeros_like
"""

_KINDS: Final = """
    _assert_tensor_metadata _conj conj conj_physical cpu device dim is_autocast_enabled
    is_complex is_contiguous is_floating_point is_grad_enabled is_nonzero isclose isfinite
    isinf isnan item numel requires_grad_ resolve_conj resolve_neg result_type
    _shape_as_tensor size stride sym_numel sym_size sym_stride to _to_copy to_dense type_as
"""

# Operators of scripted code on lists, dictionaries, strings and numbers; and assertions.
_LANGUAGE: Final = """
    __and__ append _assert_async _assert_scalar Bool ceil chr clear Complex __contains__ count
    degrees __derive_index dict endswith extend factorial find Float FloatImplicit floor
    format gcd get __getitem__ hash hex index insert Int IntImplicit __is__ isalpha isdecimal
    isdigit __isnot__ items join keys len list lower __lshift__ lstrip __not__ __or__ ord
    percentFormat pop radians __range_length remove replace reverse __rshift__ rstrip
    ScalarImplicit _set_item setdefault sorted split startswith str strip sym_constrain_range
    sym_constrain_range_for_size update upper values warn __xor__
"""

ATEN: Final = frozenset().union(
    *(
        _names(group, "aten::")
        for group in (
            *(_REDUCTIONS, _SHAPES, _INDEXED, _LAYERS, _PRODUCTS, _CREATION, _KINDS, _LANGUAGE),
            *(_ELEMENTWISE, " ".join(f"{name}_" for name in _ELEMENTWISE.split())),
        )
    )
)

# Torch's own functions call these with `out=`, in a branch that scripted networks contain. They
# resize the output tensor before they write to it.
WITH_OUT: Final = frozenset(
    f"{name} with out="
    for name in _names(
        "div frobenius_norm linalg_matrix_norm linalg_vector_norm nuclear_norm", "aten::"
    )
)

# `ops.prim.NAME(...)` in the sources of a TorchScript archive.
SCRIPT_PRIMITIVES: Final = _names(
    """
    NumToTensor RaiseException TupleIndex TupleUnpack abs data device dtype is_cpu is_cuda
    is_nested itemsize layout max min requires_grad tolist type unchecked_unwrap_optional
    """,
    "prim::",
)

# Functions that these sources call without a namespace.
SCRIPT_WORDS: Final = _names(
    """
    annotate bool float getattr hasattr int isinstance len list max min range sorted str
    unchecked_cast uninitialized
    """
)

# Arithmetic on shapes in .pt2 files: `_operator.NAME`.
SHAPE_ARITHMETIC: Final = _names(
    "getitem add sub mul truediv floordiv mod neg pow eq ne lt le gt ge"
)

# In .pt2 files of decomposed Swin networks. torch checks it against the tensor's memory.
EXPORTED_ONLY: Final = frozenset({"aten::as_strided"})
