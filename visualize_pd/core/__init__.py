"""The base of the package: errors, files, images, configs and the settings of Paddle itself."""
