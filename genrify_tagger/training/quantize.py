"""Faster arithmetic where it costs nothing: 8-bit kernels in the first convolutions of both networks.

Kernels are kept in 8 bits, a scale for each filter; what they are applied to is rounded to 8 bits anew for every
segment (dynamic-range quantisation). All behind them stays float32: in the mid-end, whose channel of ones is much
larger than the others, and in the dense layers it would cost accuracy and save next to nothing.

Done by ai-edge-quantizer (Google, Apache 2.0), which works on the finished flatbuffer and can be told which parts to
change; TensorFlow's converter changes all or nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from genrify_tagger.training import prune, vgg

OPERATIONS = ("CONV_2D", "FULLY_CONNECTED")


def quantize(flatbuffer: bytes) -> bytes:
    """Give the front end of MSD_musicnn and all of MSD_vgg 8-bit kernels."""
    from ai_edge_quantizer import qtyping, quantizer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(flatbuffer)
        worker = quantizer.Quantizer(str(path))
        for part in (prune.FRONT_END, vgg.NAME):
            for operation in OPERATIONS:
                worker.add_dynamic_config(
                    regex=f".*/{part}[_/].*", operation_name=qtyping.TFLOperationName(operation), num_bits=8
                )
        return bytes(worker.quantize().quantized_model)
