"""``vertebra-labeling benchmark``: how fast labelling is, what memory it needs, what peers take for the same work."""
