"""The keys of every config, and how a YAML file becomes one."""
