"""Training of the reference model: images, their random changes, the run, its temperature."""
