"""`birdcli registry remove | prune`: versions that nobody needs any more."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from birdcli.cli.context import open_registry, print_people, reports_errors, say, user_name
from birdcli.cli.options import option

_FORGOTTEN_S = 7 * 24 * 3600.0

Note = Annotated[str, option(help="Why, for the history.")]


@reports_errors
def remove(
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION|ALIAS", show_default=False)],
    *,
    note: Note = "",
) -> None:
    """Remove a version that no alias points to, or an alias.

    A version that ships with birdcli is declared again. Of an alias, its version stays.
    """
    registry = open_registry()
    if "@" in reference:
        freed = registry.disk_bytes(registry.resolve(reference))
        registry.remove(reference, note=note, who=user_name())
        print_people(f"{reference} is removed, {freed / 1e6:,.1f} MB are free again")
    else:
        target = registry.remove_alias(reference, note=note, who=user_name())
        print_people(f"the alias {reference} is gone; {target} is still installed")


@reports_errors
def prune(
    *,
    dry_run: Annotated[bool, option("--dry-run", help="Only say what would be removed.")] = False,
    note: Note = "",
) -> None:
    """Remove every version that no alias needs, now or to roll back.

    A version that was never promoted is such a one. Downloads that nobody has continued for a week
    go as well.
    """
    from birdcli.cli.installing import partials_folder
    from birdcli.models.partial_folder import sweep_partials

    registry = open_registry()
    plan = registry.plan_prune()
    sizes = {version.id: registry.disk_bytes(version) for version in plan.removed}
    if not dry_run:
        plan = registry.prune(note=note, who=user_name())
    for version in plan.removed:
        would = "would remove" if dry_run else "removed"
        say(f"{would} {version.id} ({sizes.get(version.id, 0) / 1e6:,.1f} MB)")
    for model_id, aliases in plan.kept.items():
        print_people(f"kept {model_id}: {', '.join(aliases)} needs it")
    freed = sum(sizes.get(version.id, 0) for version in plan.removed)
    if not dry_run:
        freed += sweep_partials(partials_folder(registry), _FORGOTTEN_S, time.time())
    print_people(f"{freed / 1e6:,.1f} MB {'would be' if dry_run else 'are'} free again")
