"""The HTML of the parts of a tab: pictures with their maps, charts, channels, runs."""
