"""The command line's input and output: parser, tables, progress, lines for programs."""
