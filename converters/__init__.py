"""From a trained classifier to a bundle that the workstation runs. The only part with torch."""
