"""Everything that the user starts: commands, configs, runs, reports and pictures."""
