"""Where names get their places: never over one another, in the view, nearest to their own points."""

import itertools
import unittest

import numpy as np
from VertebraLabelingMRML.name_places import importance, place

VIEW = (300, 280)


class TestImportance(unittest.TestCase):
    def test_the_chosen_vertebra_comes_first_then_uncertain_ones_then_ends_of_regions(self):
        levels = ["C6", "C7", "T1", "T2", "T3", "L1", "L2", "L3"]
        uncertain = [False] * 4 + [True] + [False] * 3
        self.assertEqual([levels[row] for row in importance(levels, uncertain, chosen=6)][:2], ["L2", "T3"])
        order = [levels[row] for row in importance(levels, uncertain)]
        self.assertEqual(order, ["T3", "C6", "C7", "T1", "L1", "L3", "T2", "L2"])


class TestPlace(unittest.TestCase):
    def boxes(self, points, sizes, **more):
        corners = place(points, sizes, range(len(points)), VIEW, **more)
        return {row: (*corner, *np.add(corner, sizes[row])) for row, corner in enumerate(corners) if corner is not None}

    def test_names_of_any_points_never_overlap_and_stay_in_the_view(self):
        rng = np.random.default_rng(3)
        for spacing in (2, 5, 9, 20):
            points = np.c_[150 + rng.normal(0, 12, 24).cumsum() / 3, 270 - spacing * np.arange(24)]
            sizes = rng.uniform((12, 8), (30, 14), (24, 2))
            boxes = self.boxes(points, sizes)
            self.assertGreater(len(boxes), 2)
            for a, b in itertools.combinations(boxes.values(), 2):
                self.assertTrue(a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1])
            for box in boxes.values():
                self.assertTrue(box[0] >= 0 and box[2] <= VIEW[0] and box[1] >= 0 and box[3] <= VIEW[1])

    def test_names_stand_on_either_side_where_one_has_no_room(self):
        boxes = self.boxes([(150, 100), (150, 108), (150, 140)], [(20, 12)] * 3)
        self.assertEqual([row for row, box in boxes.items() if box[0] > 150], [0, 2])
        self.assertEqual([row for row, box in boxes.items() if box[2] < 150], [1])
        self.assertEqual(self.boxes([(290, 100)], [(20, 12)])[0][2], 285)

    def test_a_name_nearer_to_another_point_is_written_only_where_it_is_needed(self):
        points = [(150, 100), (157, 101), (143, 99)]
        self.assertNotIn(0, self.boxes(points, [(20, 12)] * 3))
        self.assertIn(0, self.boxes(points, [(20, 12)] * 3, needed={0}))

    def test_points_outside_the_view_have_no_name(self):
        self.assertEqual(self.boxes([(-1, 100), (150, 300), (400, 10)], [(20, 12)] * 3), {})
        self.assertEqual(place([], [], [], VIEW), [])
