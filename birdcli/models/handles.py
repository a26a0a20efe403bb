"""Names that hubs give to their models, turned into URLs."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from birdcli.errors import ErrorCode, ModelError

_KAGGLE: Final = "kaggle:"
_KAGGLE_HOSTS: Final = frozenset({"www.kaggle.com", "kaggle.com"})
_PART: Final = r"([A-Za-z0-9][A-Za-z0-9._-]*)"
_VERSION: Final = r"([1-9][0-9]*)"
_HANDLE: Final = re.compile(rf"{_PART}/{_PART}/{_PART}/{_PART}/{_VERSION}")
# The address of a page of today, and the one that older notebooks and tfhub.dev point to.
_PAGES: Final = (
    re.compile(rf"/models/{_PART}/{_PART}/{_PART}/{_PART}/{_VERSION}/?"),
    re.compile(
        rf"/models/{_PART}/{_PART}/frameworks/{_PART}/variations/{_PART}/versions/{_VERSION}/?"
    ),
)
# The API wants this case; pages and people write TensorFlow1, TfLite, TFLite, Keras, ….
_FRAMEWORKS: Final = {
    name.lower(): name for name in ("tensorFlow1", "tensorFlow2", "tfLite", "tfJs", "pyTorch")
}


def resolve_handle(source: str) -> str:
    """Returns the URL behind a hub's name for a model; any other source is returned unchanged.

    Args:
        source: A path or URL, `kaggle:OWNER/MODEL/FRAMEWORK/VARIATION/VERSION`, a model's page on
            kaggle.com, or a handle on tfhub.dev.

    Raises:
        ModelError: ``model.source_unreadable`` for a malformed `kaggle:` handle.
    """
    if source.lower().startswith(_KAGGLE):
        match = _HANDLE.fullmatch(source[len(_KAGGLE) :])
        if match is None:
            raise ModelError(
                ErrorCode.MODEL_SOURCE_UNREADABLE,
                f"{source!r} is no kaggle:OWNER/MODEL/FRAMEWORK/VARIATION/VERSION",
                hint="Such as kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/1.",
                source=source,
            )
        return _kaggle_download(match)
    try:
        parts = urlsplit(source)
    except ValueError:
        return source
    if parts.scheme != "https":
        return source
    host = parts.netloc.lower()
    if host == "tfhub.dev" and parts.path.strip("/") and not set("?#") & set(source):
        return source.rstrip("/") + "?tf-hub-format=compressed"
    if host in _KAGGLE_HOSTS:
        for page in _PAGES:
            match = page.fullmatch(parts.path)
            if match is not None:
                return _kaggle_download(match)
    return source


def _kaggle_download(match: re.Match[str]) -> str:
    owner, model, framework, variation, version = match.groups()
    slug = _FRAMEWORKS.get(framework.lower(), framework[:1].lower() + framework[1:])
    return f"https://www.kaggle.com/api/v1/models/{owner}/{model}/{slug}/{variation}/{version}/download"
