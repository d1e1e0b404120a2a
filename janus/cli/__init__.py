"""The command line, `janus ...`: a file for each group of commands."""
