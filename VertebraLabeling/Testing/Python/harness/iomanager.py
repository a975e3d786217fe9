"""``slicer.app.coreIOManager()`` on the real storage nodes, as far as ``slicer.util`` needs it to load and save."""

import os

import slicer

SCENE_EXTENSIONS = (".mrb", ".mrml")
MARKUPS_EXTENSIONS = (".mrk.json", ".fcsv", ".json")


class CoreIOManager:
    def fileType(self, fileName):
        if fileName.endswith(SCENE_EXTENSIONS):
            return "SceneFile"
        return "MarkupsFile" if fileName.endswith(MARKUPS_EXTENSIONS) else "VolumeFile"

    def fileWriterFileType(self, node):
        return "VolumeFile" if node.IsA("vtkMRMLVolumeNode") else "NodeFile"

    def loadNodes(self, fileType, properties, loadedNodes, userMessages):
        fileName = properties["fileName"]
        if not os.path.isfile(fileName):
            return False
        if fileType == "SceneFile":
            return self._loadScene(fileName, bool(properties.get("clear", False)))
        node = self._loadVolume(fileName, properties) if fileType == "VolumeFile" else self._loadMarkups(fileName)
        if node is None:
            return False
        loadedNodes.AddItem(node)
        return True

    def _loadScene(self, fileName, clear):
        """Open a scene, or, as Slicer does unless told to clear, add it to the one that is there."""
        scene = slicer.mrmlScene
        if fileName.endswith(".mrb"):
            return bool(scene.ReadFromMRB(fileName, clear))
        scene.SetURL(fileName)
        return bool(scene.Connect() if clear else scene.Import())

    def _loadVolume(self, fileName, properties):
        logic = slicer.modules.volumes.logic()
        name = properties.get("name", os.path.basename(fileName).split(".")[0])
        options = (1 if properties.get("labelmap") else 0) | (8 if properties.get("singleFile") else 0)
        return logic.AddArchetypeVolume(fileName, name, options)

    def _loadMarkups(self, fileName):
        if not fileName.endswith(".json"):
            raise NotImplementedError("the harness reads .mrk.json only")
        nodeID = slicer.modules.markups.logic().LoadMarkupsFromJson(fileName)
        return slicer.mrmlScene.GetNodeByID(nodeID) if nodeID else None

    def saveNodes(self, fileType, properties, userMessages):
        fileName = properties["fileName"]
        if fileType == "SceneFile":
            return self._saveScene(fileName)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(fileName)
        storage = node.GetStorageNode()
        storage.SetFileName(fileName)
        return bool(storage.WriteData(node))

    def _saveScene(self, fileName):
        if fileName.endswith(".mrb"):
            return bool(slicer.mrmlScene.WriteToMRB(fileName))
        return bool(slicer.mrmlScene.Commit(fileName))
