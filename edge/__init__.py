"""Runtime of microscope-edge: decode, preprocess, infer, write results. Needs no torch."""

__version__ = "0.1.0"
