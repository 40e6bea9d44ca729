"""Networks that Paddle does not have, or not with these weights."""
