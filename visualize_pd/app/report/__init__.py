"""Write the results of a run for reading: the page `index.html` and the table `summary.csv`."""
