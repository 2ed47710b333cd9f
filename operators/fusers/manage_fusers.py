"""The operator that lists trained fusers and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo

from ..shared.list_operator import ListOperator

if TYPE_CHECKING:
    from detail_embed.fusers.library import TrainedFacts


class ManageFusers(ListOperator):
    """Lists the trained fusers of this user, and deletes one."""

    name = "manage_fusers"
    label = "Manage trained fusers"
    description = "List the fusers that were trained here, or delete one"
    key, title, thing = "fusers", "Trained fusers", "trained fuser"
    none_yet = "No fuser was trained yet: use 'Train a fuser'"
    after = "Indexes made with it have a copy and go on"
    columns = (
        "Name", "Fuser", "For patches of", "Words", "Images", "Held-out words",
        "Trained",
    )

    def target(self, ctx: foo.ExecutionContext) -> None:
        """None: fusers are the user's, not a dataset's."""

    def listed(
        self, ctx: foo.ExecutionContext, delete: str | None = None
    ) -> list[TrainedFacts]:
        """The fusers of this user."""
        return self(delete)

    def row(self, thing: TrainedFacts) -> tuple[Any, ...]:
        """What a training was on, and what it kept."""
        return (
            thing.name, thing.kind, thing.patch_slug, thing.num_words, thing.images,
            f"{100 * thing.held_out:.1f} %", thing.created.replace("T", " "),
        )

    def __call__(self, delete: str | None = None) -> list[TrainedFacts]:
        """Lists the trained fusers, after one was deleted if a name is given.

        Example usage::

            import fiftyone.operators as foo

            manage = foo.get_operator("@detail/detail-embed/manage_fusers")
            manage()
            manage(delete="drones")

        Args:
            delete (None): name of a trained fuser; indexes made with it stay as they
                are

        Returns:
            what is known of each fuser

        Raises:
            ValueError: if no fuser has the name
        """
        from detail_embed.fusers import library

        if delete is not None:
            library.describe(delete)
            library.delete(delete)
        return [library.describe(name) for name in library.names()]
