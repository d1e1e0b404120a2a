"""The command line, `janus ...`: one file a group of commands, and nothing that they do not need."""
