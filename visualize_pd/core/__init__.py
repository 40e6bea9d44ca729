"""What everything stands on: errors, files, images, configs, and the settings of Paddle itself."""
