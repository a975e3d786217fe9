"""How the views and a volume's window are now, to put them back later."""

import slicer


class Look:
    """Remembers slice views, what they show, 3D cameras, and the window of a volume; :meth:`restore` puts them back.

    Args:
        volumeNode: the volume whose window is remembered; ``None`` for none.
    """

    def __init__(self, volumeNode):
        self._parts = [(node, _slice(node)) for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
        self._parts += [(node, _layer(node)) for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")]
        self._parts += [(node, _camera(node)) for node in slicer.util.getNodesByClass("vtkMRMLCameraNode")]
        display = volumeNode.GetDisplayNode() if volumeNode is not None else None
        if display is not None:
            self._parts.append((display, _window(display)))

    def restore(self):
        """Put back what is still there."""
        for node, putBack in self._parts:
            if node.GetScene() is not None:
                with slicer.util.NodeModify(node):
                    putBack()


def _slice(node):
    matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    size, origin = node.GetFieldOfView(), node.GetXYZOrigin()

    def putBack():
        slicer.util.updateVTKMatrixFromArray(node.GetSliceToRAS(), matrix)
        node.UpdateMatrices()
        width, height = (max(1, pixels) for pixels in node.GetDimensions()[:2])  # none in a view that is not shown
        node.SetFieldOfView(size[0], size[0] * height / width, size[2])  # the window may have another shape now
        node.SetXYZOrigin(*origin)

    return putBack


def _layer(node):
    background = node.GetBackgroundVolumeID()

    def putBack():
        if background is None or slicer.mrmlScene.GetNodeByID(background) is not None:
            node.SetBackgroundVolumeID(background)

    return putBack


def _camera(node):
    position, focus, up = node.GetPosition(), node.GetFocalPoint(), node.GetViewUp()
    scale = node.GetParallelScale()  # what a parallel projection shows

    def putBack():
        node.SetPosition(*position)
        node.SetFocalPoint(*focus)
        node.SetViewUp(*up)
        node.SetParallelScale(scale)
        node.ResetClippingRange()

    return putBack


def _window(display):
    window, level, automatic = display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()

    def putBack():
        display.AutoWindowLevelOff()
        display.SetWindowLevel(window, level)
        display.SetAutoWindowLevel(automatic)

    return putBack
