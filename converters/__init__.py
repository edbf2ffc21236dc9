"""From a trained classifier to a bundle that the workstation runs. The only part with torch."""

import edge as edge  # its settings must be made before ONNX Runtime is loaded
