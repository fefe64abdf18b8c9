"""A training run: steps, folder, log, presets."""
