"""`birdcli cache`: what the result cache holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from birdcli.cli.context import home_folder, reports_errors, say
from birdcli.cli.options import option

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look into or clear the cache of earlier answers.",
)

DEFAULT_CACHE_BYTES = 2_000_000_000

CacheFolder = Annotated[
    Path | None, option("--cache-dir", help="The cache's folder.", show_default=False)
]


def default_cache_folder() -> Path:
    """Returns the cache below the home folder."""
    return home_folder() / "cache"


@app.command()
@reports_errors
def info(
    cache_dir: CacheFolder = None,
    as_json: Annotated[bool, option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how many answers and pictures are kept, and how much room they take."""
    from birdcli.cache import open_cache

    folder = cache_dir or default_cache_folder()
    cache = open_cache(folder, size_limit=DEFAULT_CACHE_BYTES)
    found = cache.info()
    cache.close()
    if as_json:
        fields = {
            "folder": str(folder),
            "entries": found.entries,
            "pictures": found.pictures,
            "bytes": found.bytes,
        }
        say(json.dumps(fields))
    else:
        kept = f"{found.entries:,} entries, {found.pictures:,} pictures"
        say(f"{folder}: {kept}, {found.bytes / 1e6:,.1f} MB")


@app.command()
@reports_errors
def clear(cache_dir: CacheFolder = None) -> None:
    """Forget all earlier answers and pictures."""
    from birdcli.cache import open_cache

    cache = open_cache(cache_dir or default_cache_folder(), size_limit=DEFAULT_CACHE_BYTES)
    cache.clear()
    cache.close()
