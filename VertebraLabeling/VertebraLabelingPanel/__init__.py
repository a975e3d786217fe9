"""The parts of the panel: ``qt`` and ``slicer``. What they do to nodes is in ``VertebraLabelingMRML``."""
