"""The gateway: gRPC in front, Triton behind. Imports neither torch nor the offline steps."""
