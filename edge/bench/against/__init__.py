"""The same images through other ways of running the model: labels first, then speed."""
