"""Complete examples. Each of them can be run as a command."""
