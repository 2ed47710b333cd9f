"""What all operators share: what they are called, and a form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from . import app, problems, targets

ICON = "/assets/icon.svg"
_INSTALL = (
    "Install what is missing with `fiftyone plugins requirements "
    "@detail/detail-embed --install`, then restart the App"
)


class FormOperator(foo.Operator):
    """An operator with a form.

    A subclass says in class attributes what it is, and in :meth:`add_inputs` what it
    asks for.

    Attributes:
        name: of the operator in its URI
        label: of the operator and its form
        description: what it does, in a line
        risk_level: of calls by an agent
        submit: what the button of the form says, None for what FiftyOne says
        place: where the App shows a button for it, None for nowhere
        options: what else :class:`fiftyone.operators.OperatorConfig` takes
        is_for_hits: whether its form is for what a search shows; others are for the
            whole dataset then, see :mod:`.targets`
    """

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    risk_level: ClassVar[types.RiskLevel] = types.RiskLevel.LOW
    submit: ClassVar[str | None] = None
    place: ClassVar[types.Places | None] = None
    options: ClassVar[Mapping[str, Any]] = {}
    is_for_hits: ClassVar[bool] = False

    @cached_property
    def config(self) -> foo.OperatorConfig:
        """The class attributes, as FiftyOne takes them."""
        return foo.OperatorConfig(
            name=self.name,
            label=self.label,
            description=self.description,
            icon=ICON,
            dynamic=True,
            risk_level=self.risk_level,
            **self.options,
        )

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection | None,
    ) -> None:
        """Adds the inputs of the form, and checks what was filled in.

        Args:
            ctx: of the form
            inputs: the form
            samples: those of :meth:`target`

        Raises:
            ValueError, TypeError, ImportError: saying what cannot work
        """
        raise NotImplementedError

    def target(self, ctx: foo.ExecutionContext) -> foc.SampleCollection | None:
        """The samples that are meant; None for an operator that is on none.

        Raises:
            ValueError: if no dataset is open
        """
        if ctx.dataset is None:
            raise ValueError("Open a dataset first")
        return targets.of_run(ctx)

    def labels(self) -> Mapping[str, str]:
        """Labels of inputs that are not always shown, by name, for messages."""
        return {}

    def form_view(self, ctx: foo.ExecutionContext) -> types.View:
        """Title and buttons of the form."""
        if self.submit is None:
            return types.View(label=self.label)
        return types.PromptView(label=self.label, submit_button_label=self.submit)

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever cannot work is said in it."""
        inputs = types.Object()
        try:
            samples = self.target(ctx)
            if not self.is_for_hits:
                samples = targets.of_form(ctx, inputs, samples)
            self.add_inputs(ctx, inputs, samples)
        except (ValueError, TypeError) as error:
            problems.add(inputs, ctx.params, str(error), self.labels())
        except ImportError as error:
            problems.add(inputs, ctx.params, f"{error}. {_INSTALL}")
        if not (app.is_app(ctx) or self.config.disable_schema_validation):
            problems.say_missing(inputs, ctx.params)
        return types.Property(inputs, view=self.form_view(ctx))

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement | None:
        """A button that opens the form, where there shall be one."""
        if self.place is None:
            return None
        button = types.Button(label=self.label, icon=ICON, prompt=True)
        return types.Placement(self.place, button)
