"""The two scripts and the command `visualize-pd`. They read arguments and return an exit code."""
