"""The harness must refuse what Slicer refuses, and what PythonQt only prints: else the panel tests prove nothing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Annotated

import ctk
import pytest
import qt
import slicer
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper

import harness

UI = """<ui version="4.0"><class>Panel</class><widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout">
<item><widget class="{widget}" name="selector"/></item></layout></widget><customwidgets><customwidget>
<class>qMRMLWidget</class><extends>QWidget</extends><header>x</header><container>1</container></customwidget>
<customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>x</header></customwidget>
</customwidgets><connections>{connections}</connections></ui>"""
CONNECTION = """<connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>{receiver}</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"""


def load(tmp_path, connections="", widget="qMRMLNodeComboBox"):
    path = tmp_path / "panel.ui"
    path.write_text(UI.format(connections=connections, widget=widget))
    panel = slicer.util.loadUI(str(path))
    panel.setMRMLScene(slicer.mrmlScene)
    return slicer.util.childWidgetVariables(panel), panel


def parameters(hint):
    slicer.mrmlScene.Clear()
    wrapped = parameterNodeWrapper(type("Parameters", (), {"__annotations__": {"value": hint}}))
    return wrapped(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))


def test_qt_properties_are_attributes_as_in_pythonqt():
    button = qt.QPushButton("one")
    button.text = "two"
    button.enabled = False
    button.name = "okButton"
    assert (button.text, button.enabled, button.name, button.className()) == ("two", False, "okButton", "QPushButton")


@pytest.mark.parametrize("attribute", ["txet", "width"])
def test_an_attribute_that_is_no_writable_property_is_refused(attribute):
    with pytest.raises(AttributeError):
        setattr(qt.QPushButton("x"), attribute, 1)


def test_a_signal_that_does_not_exist_is_refused():
    with pytest.raises(RuntimeError, match="does not exist"):
        qt.QPushButton("x").connect("clicked(int)", print)


def test_slots_receive_as_many_arguments_as_they_take():
    button, calls = qt.QPushButton("x"), []
    button.connect("clicked(bool)", lambda: calls.append("none"))
    button.connect("clicked(bool)", lambda checked: calls.append(checked))
    button.click()
    assert calls == ["none", False]


def test_a_disconnected_slot_is_not_called():
    button, calls = qt.QPushButton("x"), []
    slot = lambda: calls.append(1)  # noqa: E731
    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot)
    button.click()
    assert calls == []


def test_an_exception_in_a_slot_is_kept(capsys):
    button = qt.QPushButton("x")
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in harness.takeSlotErrors()[0]
    assert harness.takeSlotErrors() == []
    capsys.readouterr()


class Owner:
    """Holds the only reference of a timer and drops it when the timer calls."""

    def __init__(self, *parent):
        self.timer = qt.QTimer(*parent)
        self.timer.setSingleShot(True)
        self.timer.connect("timeout()", self.drop)
        self.timer.start(0)

    def drop(self):
        timer, self.timer = self.timer, None
        timer.deleteLater()  # comes too late for an object without a parent


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        slicer.app.processEvents()


def test_an_object_without_a_parent_goes_with_its_last_python_reference():
    calls = []
    for parent, expected in (((), 0), ((slicer.app,), 1)):
        before = len(slicer.app.findChildren(qt.QTimer))
        timer = qt.QTimer(*parent)
        timer.setSingleShot(True)
        timer.connect("destroyed()", lambda: calls.append("gone"))
        alive = weakref.ref(timer)
        del timer
        assert (alive() is not None) == bool(parent)
        assert calls == ["gone"]
        assert len(slicer.app.findChildren(qt.QTimer)) - before == expected
    alive().deleteLater()


def test_an_object_that_dies_inside_its_own_signal_is_told(capsys):
    owner = Owner()
    wait_for(lambda: owner.timer is None)
    assert "QTimer has no parent and died inside its own signal timeout()" in harness.takeSlotErrors()[0]
    capsys.readouterr()
    owner = Owner(slicer.app)
    wait_for(lambda: owner.timer is None)
    assert harness.takeSlotErrors() == []


def test_a_single_shot_keeps_what_it_calls_until_the_application_ends():
    """A timer of one's own lets it go: what is alive is due to ``singleShot``."""

    def called_by(start):
        calls = []

        def call():
            calls.append(1)

        start(call)
        wait_for(lambda: calls)
        assert calls == [1]
        return weakref.ref(call)

    def own(call):
        timer = qt.QTimer(slicer.app)
        timer.setSingleShot(True)
        timer.connect("timeout()", call)
        timer.connect("timeout()", timer.deleteLater)
        timer.start(0)

    kept, gone = called_by(lambda call: qt.QTimer.singleShot(0, call)), called_by(own)
    slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
    gc.collect()
    assert kept() is not None and gone() is None


def test_an_exception_in_a_scene_observer_is_kept(capsys):
    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda *_: 1 / 0)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    slicer.mrmlScene.RemoveObserver(tag)
    assert len(harness.takeSlotErrors()) == 1
    capsys.readouterr()


def test_a_selector_without_its_ui_connection_stays_empty(tmp_path):
    slicer.mrmlScene.Clear()
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    for connections, expected in (("", None), (CONNECTION.format(receiver="selector"), volume)):
        ui, _panel = load(tmp_path, connections)
        ui.selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        ui.selector.setCurrentNode(volume)
        assert ui.selector.currentNode() is expected


def test_a_ui_connection_to_a_widget_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="no such widget"):
        load(tmp_path, CONNECTION.format(receiver="missing"))


def test_a_ui_file_with_a_widget_that_is_not_stood_in_for_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="qMRMLTableView"):
        load(tmp_path, widget="qMRMLTableView")


def test_a_node_that_is_added_is_not_selected_by_itself(tmp_path):
    slicer.mrmlScene.Clear()
    ui, _panel = load(tmp_path, CONNECTION.format(receiver="selector"))
    ui.selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert (ui.selector.nodeCount(), ui.selector.currentNode()) == (1, None)


def test_a_parameter_refuses_other_types_and_values_out_of_range():
    node = parameters(Annotated[float, WithinRange(0, 1), Default(0.5)])
    assert node.value == 0.5
    for bad, error in ((2.0, ValueError), ("0.5", TypeError)):
        with pytest.raises(error):
            node.value = bad
    assert node.value == 0.5


def test_a_slider_needs_a_parameter_with_a_range():
    with pytest.raises(RuntimeError, match="range"):
        parameters(float).connectParametersToGui({"value": ctk.ctkSliderWidget()})


def test_a_widget_that_cannot_show_the_parameter_is_refused():
    with pytest.raises(RuntimeError, match="QLineEdit"):
        parameters(bool).connectParametersToGui({"value": qt.QLineEdit()})


def test_parameter_and_widget_follow_each_other_until_disconnected():
    node, box = parameters(bool), qt.QCheckBox()
    tag = node.connectParametersToGui({"value": box})
    box.click()
    assert node.value is True
    node.value = False
    assert box.checked is False
    node.disconnectGui(tag)
    box.click()
    assert node.value is False


def test_a_module_property_slicer_does_not_know_is_refused():
    with pytest.raises(AttributeError):
        slicer.modules.vertebralabeling.tittle = "x"


def test_the_base_class_of_a_panel_has_no_method_that_slicer_s_has_not():
    base = slicer.ScriptedLoadableModule.ScriptedLoadableModuleWidget
    assert not {"enter", "exit"} & set(dir(base))
    panel = slicer.modules.vertebralabeling.widgetRepresentation()
    panel.enter()
    panel.exit()  # what a panel does not define is not called


def test_the_views_are_as_small_as_slicer_s_with_testing_until_the_main_window_is_resized():
    window, widget = slicer.util.mainWindow(), slicer.app.layoutManager().sliceWidget("Yellow")
    assert (window.width, window.height) == (1037, 570)
    small = widget.renderWindow().GetSize()
    window.resize(1400, 1000)
    large = widget.renderWindow().GetSize()
    window.resize(1037, 570)
    assert (small, widget.renderWindow().GetSize()) == ((303, 213), (303, 213))
    assert large == (485, 428)


DECIMAL_COMMA = """
import locale
import harness
locale.setlocale(locale.LC_ALL, "")
assert locale.localeconv()["decimal_point"] == ",", "no such locale"
harness.start()
print(locale.localeconv()["decimal_point"], locale.setlocale(locale.LC_CTYPE))
"""


def test_numbers_have_a_point_where_the_user_s_locale_has_a_comma_as_in_slicer():
    """Qt sets the locale of the user, Slicer that of numbers back; without it no scene and no markups file is read."""
    environment = {**os.environ, "LC_ALL": "de_DE.UTF-8"}
    folder = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", DECIMAL_COMMA]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    if "unsupported locale" in done.stderr:
        pytest.skip("needs a locale with decimal commas: localedef -i de_DE -f UTF-8 de_DE.UTF-8")
    assert done.stdout.split() == [".", "de_DE.UTF-8"], done.stderr[-2000:]


ONE_VIEW = """<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="{name}">
<property name="orientation" action="default">Coronal</property><property name="viewgroup" action="default">7</property>
</view></item></layout>"""


def test_a_layout_makes_the_views_of_its_description_and_one_that_is_unknown_is_refused():
    layouts, number = slicer.app.layoutManager(), 4711
    before = layouts.layout
    assert before == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    with pytest.raises(ValueError, match="no layout 4711"):
        layouts.setLayout(number)
    assert layouts.sliceWidget("Strictness") is None
    layouts.layoutLogic().GetLayoutNode().AddLayoutDescription(number, ONE_VIEW.format(name="Strictness"))
    layouts.setLayout(number)
    node = layouts.sliceWidget("Strictness").mrmlSliceNode()
    assert (node.GetOrientation(), node.GetViewGroup(), node.IsMappedInLayout()) == ("Coronal", 7, True)
    red = layouts.sliceWidget("Red").mrmlSliceNode()
    assert not red.IsMappedInLayout()
    layouts.setLayout(before)
    assert red.IsMappedInLayout()
    slicer.mrmlScene.RemoveNode(node)


def test_nothing_of_the_harness_stays_in_the_temporary_folder(tmp_path):
    """Neither of a database that keeps a file, nor of one that does not, nor of the application."""
    code = (
        "import harness; harness.start()\n"
        "import gc, os, pathlib, tempfile, pydicom, slicer\n"
        "from harness.dicomdatabase import DicomDatabase\n"
        "folder = pathlib.Path(tempfile.gettempdir())\n"
        "made = lambda: len(list(folder.glob('dicom-database-*')))\n"
        "others = [DicomDatabase() for number in range(3)]\n"
        "assert made() == 0\n"
        "from pydicom.data import get_testdata_file\n"
        "others[0].insert(get_testdata_file('CT_small.dcm'))\n"
        "assert made() == 1\n"
        "others.clear(); gc.collect()\n"
        "assert made() == 0\n"
        "slicer.dicomDatabase.insert(get_testdata_file('CT_small.dcm'))\n"
        "print('whole')\n"
    )
    pytest.importorskip("pydicom")
    folders = (Path(harness.__file__).parents[1], Path(harness.__file__).parents[1] / "helpers")
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert "whole" in done.stdout, done.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []
