"""The images of slides and reference cells, by their ids."""
