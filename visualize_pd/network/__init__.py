"""Work on a network that leaves it unchanged: hooks, gradients, layers, scores, batches."""
