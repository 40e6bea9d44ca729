"""The two scripts and `visualize-pd`: arguments in, exit code out."""
