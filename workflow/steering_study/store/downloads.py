"""Public files that are pinned: from a mirror folder where there is one, else from their web address, checked by size and digest."""

from __future__ import annotations

import http.client
import logging
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from steering_study.store.artifacts import replacing, sha256_of

TRIES = 3
TIMEOUT_S = 30.0
FIRST_WAIT_S = 2.0  # doubles after every try
PASSING_STATUS = {408, 429, 500, 502, 503, 504}  # worth another try

logger = logging.getLogger("steering_study")


def fetch_pinned(
    *, file: str, url: str, sha256: str, n_bytes: int, mirror: str | None, out: Path, instead: str = ""
) -> None:
    """Write the file to `out` if its size and digest are the pinned ones.

    Args:
        file: path below the mirror folder.
        mirror: folder or file:// URL that is tried first, None for none.
        instead: what else a user can do where it cannot be fetched.

    Raises:
        ValueError: if the bytes are not the pinned ones, the mirror is no folder or the URL is no web address.
        OSError: if neither place has the file.
    """
    found = None if mirror is None else _mirror_folder(mirror) / file
    if found is not None and found.is_file():
        origin, content = str(found), found.read_bytes()
    else:
        origin, content = url, _download(url, file=file, mirror=mirror, instead=instead)
    with replacing(out) as temporary:
        temporary.write_bytes(content)
        _check(temporary, file=file, origin=origin, sha256=sha256, n_bytes=n_bytes)
    logger.info("%s: %d bytes from %s", file, n_bytes, origin)


def _mirror_folder(mirror: str) -> Path:
    """Folder that a mirror setting means."""
    parts = urllib.parse.urlsplit(mirror)
    is_url = "://" in mirror
    if is_url and (parts.scheme != "file" or parts.netloc not in ("", "localhost")):
        raise ValueError(
            f"prompts.mirror is {mirror!r}, expected a folder or a file:// URL; download the files there first"
        )
    folder = Path(urllib.request.url2pathname(parts.path)) if is_url else Path(mirror).expanduser()
    if not folder.is_dir():
        raise ValueError(f"prompts.mirror is {mirror!r}, which is not a folder; correct it or set it to null")
    return folder


def _check(path: Path, *, file: str, origin: str, sha256: str, n_bytes: int) -> None:
    """Compare size and digest with the pinned ones."""
    digest, size = sha256_of(path), path.stat().st_size
    if (digest, size) != (sha256, n_bytes):
        raise ValueError(
            f"{file} from {origin} is not the pinned file: expected sha256 {sha256} ({n_bytes} bytes), "
            f"found {digest} ({size} bytes); fetch it again, or replace the copy in prompts.mirror"
        )


def _download(url: str, *, file: str, mirror: str | None, instead: str) -> bytes:
    """Read a URL, trying again while the fault may pass."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(
            f"url of {file} is {url!r}, expected http or https; correct it where it is pinned, in resources/"
        )
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            reason = f"status {error.code}"
            error.close()
            if error.code not in PASSING_STATUS:
                break
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error))
    where = "no mirror is set" if mirror is None else f"it is not in prompts.mirror {mirror!r}"
    raise OSError(
        f"{file} cannot be fetched: {where}, and {url} failed ({reason}); set prompts.mirror in config/study.yaml "
        f"to a folder or file:// URL that holds {file} (docs/prompts.md){', or ' * bool(instead)}{instead}"
    )
