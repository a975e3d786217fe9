"""Any geometry that a scan may have, drawn by Hypothesis."""

from __future__ import annotations

import numpy as np
from axis_orders import AXES, turned
from hypothesis import strategies as st


@st.composite
def geometries(draw, spacing=(0.3, 8.0), oblique=np.pi) -> np.ndarray:
    """(4, 4) affines: one of the 48 axis orders, turned by any angle, any spacing, anywhere within 2 m."""
    about = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    about = about if np.linalg.norm(about) > 1e-3 else np.array([0.0, 0.0, 1.0])
    turn = turned(np.degrees(draw(st.floats(0, oblique))), about)
    affine = np.eye(4)
    affine[:3, :3] = turn @ draw(st.sampled_from(AXES)) * draw(st.tuples(*[st.floats(*spacing)] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    return affine
