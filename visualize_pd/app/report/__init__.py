"""What a run leaves to read: the page `index.html` and the table `summary.csv`."""
