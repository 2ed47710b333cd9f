"""The operator that lists adapted models and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo

from ..shared.list_operator import ListOperator

if TYPE_CHECKING:
    from detail_embed.adapt.models import AdaptedFacts


class ManageAdaptedModels(ListOperator):
    """Lists the adapted models of this user, and deletes one."""

    name = "manage_adapted_models"
    label = "Manage adapted models"
    description = "List the models that were fine-tuned here, or delete one"
    key, title, thing = "models", "Adapted models", "adapted model"
    none_yet = "No model was adapted yet: use 'Adapt to my words'"
    after = (
        "Indexes made with it stay, but no text can be searched for in them any more"
    )
    columns = (
        "Name", "Model", "Learned from", "Images", "Held-out images", "Nouns",
        "Offered", "Made", "Weights",
    )

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: adapted models are the user's, not a dataset's."""

    def listed(
        self, ctx: foo.ExecutionContext, delete: str | None = None
    ) -> list[AdaptedFacts]:
        """The models of this user."""
        return self(delete)

    def row(self, thing: AdaptedFacts) -> tuple[Any, ...]:
        """What a model learned from, what that brought, and where its weights are."""
        from detail_embed.adapt import models

        weights = f"`{models.checkpoint(thing.name)}`" if thing.is_offered else ""
        return (
            thing.name, thing.backbone, thing.source, f"{thing.images:,}",
            f"{100 * thing.verdict['gain'][0]:+.1f} points",
            f"{-100 * thing.verdict['lost']:+.1f} points",
            "yes" if thing.is_offered else "no",
            thing.created.replace("T", " "), weights,
        )

    def __call__(self, delete: str | None = None) -> list[AdaptedFacts]:
        """Lists the adapted models, after one was deleted if a name is given.

        Example usage::

            import fiftyone.operators as foo

            manage = foo.get_operator("@detail/detail-embed/manage_adapted_models")
            manage()
            manage(delete="drones")

        Args:
            delete (None): name of an adapted model; indexes made with it stay, but no
                text can be searched for in them any more

        Returns:
            what is known of each model

        Raises:
            ValueError: if no model has the name
        """
        from detail_embed.adapt import models

        if delete is not None:
            models.delete(delete)
        return [models.describe(name) for name in models.names()]
