"""The page of `visualize-pd app`, which does in a browser what the scripts do."""
