"""What keeps a synthetic image natural."""
