"""TensorRT plans: build and the machine that builds them."""
