"""Network architectures in torch, shared by training, which fits them, and export, which turns them into ONNX."""
