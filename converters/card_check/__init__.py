"""Does the model card say how the model was trained? See docs/diagnosis.md."""
