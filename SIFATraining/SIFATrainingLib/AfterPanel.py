"""After a training: the score before and after, some of the site's scans segmented by both models, Use this model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SIFALib.adaptation.verdict import FEWEST, Verdict
from SIFASegmentationLib import Dialogs
from SIFASegmentationLib import Words as Common
from slicer.i18n import tr as _

from . import Words
from .Comparison import Comparison
from .Logic import SIFATrainingLogic
from .RunReader import RunReader
from .Words import State


class AfterPanel:
    """Shown for a run that has found something; onUsed() is called when its model was made and chosen."""

    def __init__(self, ui: Any, logic: SIFATrainingLogic, onUsed: Callable[[], None]) -> None:
        self.ui, self.logic, self.onUsed = ui, logic, onUsed
        self.reader: RunReader | None = None
        self.comparison = Comparison(ui, logic)
        ui.useModelButton.connect("clicked(bool)", self.onUse)
        ui.useAnywayButton.connect("clicked(bool)", self.onUseAnyway)
        self.hasResult = False
        ui.afterCollapsibleButton.setVisible(False)

    def stop(self) -> None:
        """Drop what is being done in the background."""
        self.comparison.stop()

    def forget(self) -> None:
        """The scans that were compared leave with their scene."""
        self.comparison.show(self.reader)

    def show(self, reader: RunReader | None, state: str) -> None:
        """The results of a run that is not being worked on; hidden for others."""
        if reader is not self.reader:
            self.reader = reader
            self.comparison.show(reader)
            self.ui.modelNameEdit.text = ""  # it was for the other run's model
            self._say("")
        ended = state in ("finished", "stopped", "failed", "interrupted")
        scored = reader is not None and any(score.iteration for score in reader.scores)
        self.hasResult = ended and scored
        self.ui.afterCollapsibleButton.setVisible(self.hasResult)
        if not self.hasResult:
            return
        self.ui.modelNameEdit.placeholderText = self._modelId()
        sign, text = self.verdict()
        best = self.reader.best() if self.reader is not None else None
        judged = best is not None and best.verdict is not None
        good = sign is State.FINE or (sign is not State.PROBLEM and not judged)
        Words.show(self.ui.verdictLabel, sign, text)
        self.comparison.allow(self._other())
        self.ui.useModelButton.enabled = good
        self.ui.useModelButton.toolTip = _("Make a model of it and choose it in SIFA Segmentation.") if good else text
        self.ui.useAnywayButton.setVisible(not good)

    def _other(self) -> str:
        """Why there are no two models to compare; "" if there are."""
        best = self.reader.best() if self.reader is not None else None
        if best is not None and best.iteration:
            return ""
        return _("The model after the run is the one before it; there is nothing to compare.")

    def verdict(self) -> tuple[State, str]:
        """Whether the run's best may be used, and the sentence that says so: FINE for certainly better, EMPTY where that
        is not certain, PROBLEM where it is not."""
        assert self.reader is not None
        start, best = self.reader.start(), self.reader.best()
        assert best is not None
        if best.verdict is not None and 0 < best.verdict.hearts < FEWEST:
            return self._certainty(best.verdict)
        if start is not None and best.iteration == 0:
            return State.PROBLEM, _(
                "Nothing better was found than the model that it started from: that one stays. More scans, or a longer "
                "training, may help."
            )
        if best.vetoes:
            return State.PROBLEM, _("Something speaks against the new model, whatever its score: {why}").format(
                why=" ".join(best.vetoes)
            )
        if best.verdict is not None:
            return self._certainty(best.verdict)
        if start is None:
            return State.EMPTY, _("Score without labels: {after:.3f}.").format(after=best.value)
        if start.value >= best.value:  # it was chosen for what speaks against the start
            return State.EMPTY, _(
                "Nothing speaks against the new model, as does against the one before ({why}); its score without labels is "
                "lower: {after:.3f}, before {before:.3f}. Look at results of both before you use it."
            ).format(why=" ".join(start.vetoes), after=best.value, before=start.value)
        doubt = self.reader.doubt()
        if best.value - start.value < doubt:
            return State.EMPTY, _(
                "No certain difference on your scans: score without labels {after:.3f}, before {before:.3f}, and such "
                "scores vary by {doubt:.3f}. Compare both models before you use the new one."
            ).format(after=best.value, before=start.value, doubt=doubt)
        return State.FINE, _("Better on your scans: score without labels {after:.3f}, before {before:.3f}.").format(
            after=best.value, before=start.value
        )

    def _certainty(self, found: Verdict) -> tuple[State, str]:
        """ "Better" only where the probability says so."""
        if found.hearts < FEWEST:
            return State.EMPTY, _(
                "Too few scans to tell whether the new model is better. Compare both before you use it."
            )
        figures = _(
            "probability of being better {percent}%, expected Dice {difference:+.3f} ± {error:.3f}, {hearts} hearts, "
            "without labels"
        ).format(percent=found.percent, difference=found.difference, error=found.error, hearts=found.hearts)
        if found.better:
            return State.FINE, _("Most likely better on your scans ({figures}).").format(figures=figures)
        if found.worse:
            return State.PROBLEM, _(
                "Not better, as far as can be told: its outlines are less steady on your scans ({figures})."
            ).format(figures=figures)
        return State.EMPTY, _(
            "No difference on your scans that can be told ({figures}). Compare both models before you use the new one."
        ).format(figures=figures)

    def _modelId(self) -> str:
        run = self.reader.seen.run if self.reader is not None and self.reader.seen is not None else None
        return Words.slug(run.configuration.name if run else "", "site")

    def _say(self, text: str) -> None:
        Words.say(self.ui.afterStatusLabel, text)

    # The new model

    def onUse(self, _checked: bool = False) -> None:
        self._use(force=False)

    def onUseAnyway(self, _checked: bool = False) -> None:
        question = _("The new model was not found to be better. Make a model of it nevertheless?")
        if Dialogs.confirmed(question):
            self._use(force=True)

    def _use(self, force: bool) -> None:
        assert self.reader is not None
        name = Words.slug(self.ui.modelNameEdit.text, self._modelId())
        try:
            package = self.logic.exportModel(self.reader.path, name, force)
            self.logic.useInSegmentation(package)
        except (ValueError, OSError) as error:  # RunError, ModelError
            self._say(Words.forPanel(error))
            return
        self._say(
            _("{model} was made and is chosen in SIFA Segmentation.").format(model=Common.modelName(package.card))
        )
        self.onUsed()
