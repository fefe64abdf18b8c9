"""The `shortlist` command: one file a subcommand, each importing only what it runs."""
