"""The keys of every config, and the code that reads a config from a YAML file."""
