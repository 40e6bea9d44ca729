"""What is done to a network and undone again: hooks, gradients, layers, scores, batches."""
