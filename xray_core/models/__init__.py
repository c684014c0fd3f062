"""A model that scores, light: its folder, its ONNX twin, its thresholds, its references."""
