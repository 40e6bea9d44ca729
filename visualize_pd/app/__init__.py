"""What a person starts: commands, configs, runs, reports, pictures."""
