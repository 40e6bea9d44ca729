"""Class activation maps (CAMs): weighted sums of a layer's feature maps."""
