"""Errors that INT8 adds to a layer, measured layer by layer and corrected."""
