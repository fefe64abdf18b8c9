"""Pure functions over arrays, shared by serving, training and export."""
