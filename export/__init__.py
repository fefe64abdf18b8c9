"""Trained model -> ONNX -> Triton model repository -> release."""
