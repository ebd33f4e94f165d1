"""How each pipeline step works: one folder per TFX component."""

import os

# hub.KerasLayer needs Keras 2, which TensorFlow 2.16 only offers when this is set before its first import.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# By itself TensorFlow uses oneDNN's kernels only where the CPU has instructions for neural networks, such as
# AVX512-VNNI; with AVX2 alone they are faster as well.
if os.uname().machine == "x86_64":
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# CUDA factory errors and oneDNN notices; `--verbose` sets it to "0" before anything imports this package.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# ML Metadata logs every connection to a database server.
os.environ.setdefault("GLOG_minloglevel", "3")
