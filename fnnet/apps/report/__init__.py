"""Pictures and tables, in the terminal and as files."""
