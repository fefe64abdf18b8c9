"""The build of a release, in stages that survive a kill."""
