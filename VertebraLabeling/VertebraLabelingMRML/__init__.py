"""Vertebra labels on the MRML scene: ``slicer`` and ``vtk`` only, no ``qt``.

The Slicer panel, Slicer's Python console and the browser page share these functions. Names are lowerCamelCase, as in
Slicer's own Python code; the engine that they call (``VertebraLabelingLib``) knows nothing of MRML.
"""
