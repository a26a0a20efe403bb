"""The command line: flags to settings, errors to exit codes."""
