"""TensorRT: builds, stores, chooses and runs engines on an NVIDIA GPU."""
