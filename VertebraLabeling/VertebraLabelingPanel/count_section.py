"""How vertebrae are counted: the choice of the rule, how the shown ones were counted, and their other names."""

import qt
import slicer
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM, RULES
from VertebraLabelingMRML.told import Told, actionText, ruleText

COUNTING = "VertebraLabeling/Counting"


class CountSection:
    """The rule of the shown vertebrae, which is kept by a next run; without any, that of the user's settings.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
        onRule: called with a rule by which the shown vertebrae are to be named.
    """

    def __init__(self, ui, messages, onRule):
        self._ui, self._messages, self._onRule = ui, messages, onRule
        self._told = Told()
        self._buttons = {
            AS_SEEN: ui.countSeenButton,
            FROM_ABOVE: ui.countAboveButton,
            FROM_SACRUM: ui.countSacrumButton,
        }
        for rule, button in self._buttons.items():
            button.connect("clicked(bool)", _calling(onRule, rule))
        ui.countComboBox.clear()
        ui.countComboBox.addItems([ruleText(rule) for rule in RULES])
        ui.countComboBox.connect("activated(int)", self._onActivated)  # by the user; not when the choice is shown
        self.show(Told())

    @property
    def rule(self):
        """By which rule a run names what it finds, one of ``core.count_rules.RULES``."""
        return self._told.rule or _preferred()

    def show(self, told):
        """Show what is told (:class:`told.Told`) of the vertebrae, where it is not shown already."""
        self._told = told
        index = RULES.index(self.rule)
        if self._ui.countComboBox.currentIndex != index:
            self._ui.countComboBox.currentIndex = index
        self._messages.tellCount(told.howCounted)
        for rule, button in self._buttons.items():
            button.text = f"{actionText(rule)}: {told.others[rule]}" if rule in told.others else ""
            button.setVisible(rule in told.others)
        self._ui.otherCounts.setVisible(bool(told.others))

    def _onActivated(self, index):
        """The choice is for these vertebrae and for later runs; one that cannot name them is not kept."""
        rule = RULES[index]
        if self._told.rule is not None:
            self._onRule(rule)
        if self._told.rule in (None, rule):
            qt.QSettings().setValue(COUNTING, rule)


def _calling(function, argument):
    return lambda: function(argument)


def _preferred():
    """The rule of the user's settings, which are a file and may hold anything."""
    rule = slicer.util.settingsValue(COUNTING, AS_SEEN, converter=str)
    return rule if rule in RULES else AS_SEEN
