"""Names of operators and kernels show the kernel path of a step."""

import pytest

from harness.analysis.profiles import kernel_paths_of


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["aten::lstm", "aten::mkldnn_rnn_layer", "aten::addmm"], ("oneDNN's fused recurrent layer",)),
        (["aten::lstm", "aten::addmm", "aten::sigmoid_"], ("torch's native loop",)),
        (["aten::lstm_cell", "aten::addmm"], ("operator by operator",)),
        (["aten::gru", "aten::_cudnn_rnn", "void gemm"], ("cuDNN's fused recurrent layers",)),
        (
            ["aten::_cudnn_rnn", "void RNN_blockPersist_fp_LSTM<float>"],
            ("cuDNN's fused recurrent layers", "persistent kernels"),
        ),
        (["aten::_thnn_fused_lstm_cell", "aten::lstm"], ("fused cells", "torch's native loop")),
        (["Torch-Compiled Region: 0/0", "aten::mm"], ("compiled by torch",)),
        (["aten::_scaled_dot_product_flash_attention_for_cpu"], ("flash attention",)),
        (["aten::mm", "aten::_foreach_add_"], ("operator by operator", "an optimizer over lists of tensors")),
        ([], ("operator by operator",)),
    ],
)
def test_operator_names_give_the_kernel_path(names, paths):
    assert kernel_paths_of(names) == paths
