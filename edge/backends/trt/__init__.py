"""TensorRT: engines built, kept, chosen and served on an NVIDIA GPU."""
