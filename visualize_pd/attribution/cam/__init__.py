"""Class activation maps: a layer's feature maps, added up with weights."""
