"""8-bit kernels in the first convolutions of both networks, where they cost no accuracy.

Kernels are stored in 8 bits with a scale for each filter; activations are rounded to 8 bits at run time (dynamic-range
quantisation). Everything after that stays float32: in the mid-end, whose channel of ones is much larger than the
others, and in the dense layers it would cost accuracy and save next to nothing.

This is done by ai-edge-quantizer (Google, Apache 2.0), which works on the finished flatbuffer and takes rules for parts
of the graph; TensorFlow's converter quantises all or nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from fast_vgg import GRAPH_NAME
from genrify_tagger.training import fast_musicnn

OPERATIONS = ("CONV_2D", "FULLY_CONNECTED")


def quantize_convolutions(flatbuffer: bytes) -> bytes:
    """Quantise the front end of MSD_musicnn and all of MSD_vgg."""
    from ai_edge_quantizer import qtyping, quantizer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(flatbuffer)
        worker = quantizer.Quantizer(str(path))
        for part in (fast_musicnn.FRONT_END, GRAPH_NAME):
            for operation in OPERATIONS:
                worker.add_dynamic_config(
                    regex=f".*/{part}[_/].*", operation_name=qtyping.TFLOperationName(operation), num_bits=8
                )
        return bytes(worker.quantize().quantized_model)
