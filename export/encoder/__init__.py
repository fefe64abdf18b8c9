"""The text encoder: from a folder or name to a verified ONNX file."""
