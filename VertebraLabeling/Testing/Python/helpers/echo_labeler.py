"""A labeler that tells what it was given: for tests of the hand-over to the labeling process."""

from balls import BallLabeler


class EchoLabeler(BallLabeler):
    """Puts the sum and the type of the voxels, and how it was made, into the provenance."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        labels = super().label(volume, fixed, progress, cancelled)
        told = {"sum": int(volume.array.astype("int64").sum()), "dtype": str(volume.array.dtype), "device": self.device}
        return type(labels)(labels.points, labels.warnings, {**labels.provenance, **told}, labels.evidence)
