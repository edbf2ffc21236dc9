"""TensorRT engines for a bundle: asked for, built, tried, reported."""
