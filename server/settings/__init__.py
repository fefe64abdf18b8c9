"""The gateway's settings: one typed table, filled from defaults, file, environment and flags, in this order."""

from server.settings.configuration import Configuration, load_configuration, process_environment
from server.settings.table import Settings

__all__ = ["Configuration", "Settings", "load_configuration", "process_environment"]
