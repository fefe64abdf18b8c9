"""Architectures in torch, shared by training (which fills them) and export (which turns them into ONNX)."""
