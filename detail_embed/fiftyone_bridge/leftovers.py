"""Lists patch features that no index uses, and deletes them on request.

Run ``python -m detail_embed.fiftyone_bridge.leftovers``, with ``--delete`` for those of
datasets that were deleted, with ``--delete --all`` for all that are listed.
"""

from __future__ import annotations

import argparse

from detail_embed.fiftyone_bridge.index import leftovers
from detail_embed.storage.whole_files import megabytes


def main(argv: list[str] | None = None) -> None:
    """Reads the arguments, lists, and deletes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--delete", action="store_true",
        help="delete the features of datasets that were deleted",
    )
    parser.add_argument(
        "--all", action="store_true", help="with --delete: all that are listed"
    )
    asked = parser.parse_args(argv)
    found = leftovers.find()
    for one in found:
        print(f"{megabytes(one.num_bytes):>10}  {one.dataset}: {one.why}")
        print(f"{'':>10}  {one.folder}")
    if not found:
        print("No patch features are left over")
    if asked.delete:
        freed = leftovers.delete(one for one in found if one.is_sure or asked.all)
        print(f"{megabytes(freed)} freed")


if __name__ == "__main__":
    main()
