"""Networks that Paddle does not have, or does not have with these weights."""
