"""Where names are written in a view so that none lies over another: beside their points, or not at all.

Where vertebrae lie closer in the view than their names are high, some names give way: those of certain vertebrae
inside a region first. All are written again as soon as one zooms in.
"""

import numpy as np

GAP = 5.0  # pixels between a point and its name
MARGIN = 1.0  # pixels between two names


def importance(levels, uncertain, chosen=None):
    """The order in which names get their places: the chosen vertebra, uncertain ones, ends of regions, the others.

    Args:
        levels: names, head to foot.
        uncertain: whether each is shown as uncertain.
        chosen: index of the vertebra that the user went to, or ``None``.

    Returns:
        list of indices into ``levels``
    """
    regions = ["", *(level[0] for level in levels), ""]

    def rank(index):
        isEnd = regions[index] != regions[index + 1] or regions[index + 1] != regions[index + 2]
        return index != chosen, not uncertain[index], not isEnd, index

    return sorted(range(len(levels)), key=rank)


def place(points, sizes, order, view, needed=()):
    """Find a place for names, right of their points or left of them.

    Args:
        points: (N, 2) pixels from the lower left corner of the view.
        sizes: (N, 2) width and height of the names, pixels.
        order: indices; the first gets its place first.
        view: width and height, pixels.
        needed: indices of names that are written also where another point is nearer to them than their own.

    Returns:
        list of (x, y), the lower left corner of each name, or ``None`` where there is no room, another point is
        nearer to the name than its own, or the point is not in the view
    """
    points, sizes = np.asarray(points, float).reshape(-1, 2), np.asarray(sizes, float).reshape(-1, 2)
    inView = ((points >= 0) & (points < view)).all(axis=1)
    corners, taken = [None] * len(points), np.zeros((0, 4))
    for index in order:
        if not inView[index]:
            continue
        (x, y), (width, height) = points[index], sizes[index]
        candidates = []
        for left, end in ((x + GAP, x + GAP), (x - GAP - width, x - GAP)):
            box = np.array([left, y - height / 2, left + width, y + height / 2])
            inside = (box[:2] >= 0).all() and (box[2:] <= view).all()
            isNearest = np.linalg.norm(points - (end, y), axis=1).argmin() == index
            if inside and (isNearest or index in needed) and not _overlap(box, taken).any():
                candidates.append((not isNearest, _covered(box, points), len(candidates), box))
        if candidates:
            box = min(candidates)[-1]
            corners[index] = (box[0], box[1])
            taken = np.vstack([taken, box])
    return corners


def _overlap(box, others):
    """Which of the other boxes (M, 4) come nearer to a box than the margin."""
    apart = (others[:, 2:] + MARGIN <= box[:2]) | (box[2:] + MARGIN <= others[:, :2])
    return ~apart.any(axis=1)


def _covered(box, points):
    """How many points a name would lie over."""
    return int(((points >= box[:2]) & (points <= box[2:])).all(axis=1).sum())
