"""`birdcli registry remove | prune`: versions that nobody needs any more."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from birdcli.cli.context import open_registry, print_people, reports_errors, say, user_name
from birdcli.cli.options import option
from birdcli.errors import ErrorCode, UsageError
from birdcli.outside_text import recordable
from birdcli.registry import PRODUCTION

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
    from birdcli.cli.default_model import DEFAULT_MODEL
    from birdcli.cli.listing import shown_bytes

    registry = open_registry()
    if "@" in reference:
        freed = registry.disk_bytes(registry.resolve(reference))
        back = registry.aliases_back_to(reference)
        registry.remove(reference, note=recordable(note), who=user_name())
        print_people(f"{reference} is removed, {shown_bytes(freed)} are free again")
        for alias in back:
            print_people(f"birdcli: warning: {alias} can no longer be rolled back to it")
        return
    if any(version.name == reference for version in registry.load().versions):
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG,
            f"{reference} is a model: say which version of it, such as {reference}@1",
            hint="`birdcli registry list` shows them.",
        )
    target = registry.remove_alias(reference, note=recordable(note), who=user_name())
    print_people(f"the alias {reference} is gone; {target} is still installed")
    if reference == PRODUCTION:
        print_people(f"classify uses {DEFAULT_MODEL} until something is promoted")


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
    from birdcli.cli.default_model import DEFAULT_MODEL
    from birdcli.cli.installing import partials_folder
    from birdcli.cli.listing import shown_bytes
    from birdcli.models.partial_folder import sweep_partials

    registry = open_registry()
    plan = registry.plan_prune(default=DEFAULT_MODEL)
    sizes = {version.id: registry.disk_bytes(version) for version in plan.removed}
    if not dry_run:
        plan = registry.prune(default=DEFAULT_MODEL, note=recordable(note), who=user_name())
    for version in plan.removed:
        would = "would remove" if dry_run else "removed"
        say(f"{would} {version.id} ({shown_bytes(sizes.get(version.id, 0))})")
    for model_id, aliases in plan.kept.items():
        print_people(f"kept {model_id} for {', '.join(aliases)}")
    freed = sum(sizes.get(version.id, 0) for version in plan.removed)
    if not dry_run:
        freed += sweep_partials(partials_folder(registry), _FORGOTTEN_S, time.time())
    print_people(f"{shown_bytes(freed)} {'would be' if dry_run else 'are'} free again")
