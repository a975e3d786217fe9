"""File formats, one module each. World is RAS mm outside this package; LPS and voxel indices only inside it."""
