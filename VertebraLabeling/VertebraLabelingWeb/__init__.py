"""The browser page: look and wiring over trame-slicer (Kitware), which renders the MRML scene on this computer.

``vertebra-labeling serve`` starts it. Labeling is ``VertebraLabelingLib.background``, corrections and nodes are
``VertebraLabelingMRML``, files are ``VertebraLabelingLib.formats``: nothing of them is repeated here. PEP 8 names, as
in trame. Needs the extra ``web``; it is no part of the Slicer module.
"""
