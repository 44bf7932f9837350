"""Where a model's files come from, a local folder or the hub, and one line for each way in which they cannot be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from transformers.utils.logging import disable_progress_bar

disable_progress_bar()  # of the weight loader; it says nothing that the job's own bar does not
hub_logging.set_verbosity_error()  # every retry has a line; `reachable` has the one that counts


def refuse_code(error: Exception, name: str) -> None:
    """Say in place of transformers, which proposes to trust it, that code of a model's repository is never run.

    Raises:
        ValueError: if the error says that the model needs such code.
    """
    if "trust_remote_code" in str(error):
        raise ValueError(
            f"{name} needs code of its own repository, which is never run; take a model that transformers itself knows"
        ) from error


@contextmanager
def reachable(name: str, source: str, *, revision: str | None) -> Iterator[None]:
    """Turn the many ways in which a model cannot be had into one line that says what to do."""
    where = f"{source} at revision {revision}" if revision else source
    try:
        yield
    except SafetensorError as error:
        raise ValueError(
            f"model {name!r}: a weight file of {where} is no readable safetensors file ({error}); fetch it again"
        ) from error
    except (OSError, ValueError) as error:
        refuse_code(error, f"model {name!r}: {where}")
        if Path(source).is_dir():
            raise ValueError(f"model {name!r} in folder {where} cannot be read: {error}") from error
        raise ValueError(
            f"model {name!r}: {where} is neither a local folder nor reachable on the hub. Give a local folder in "
            "config: model_options.<name>.source, or accept the model's licence on its hub page, set HF_TOKEN "
            "and make sure that HF_HUB_OFFLINE is not 1"
        ) from error


def check_weight_files(name: str, folder: Path) -> None:
    """Refuse weight files of a local folder that transformers would not read, as where one model was saved over another.

    Raises:
        ValueError: naming the first of them.
    """
    whole, index = folder / SAFE_WEIGHTS_NAME, folder / SAFE_WEIGHTS_INDEX_NAME
    if whole.is_file():
        read = {whole.name}
    elif index.is_file():
        try:
            read = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{name}: {index} does not say which file holds each weight; fetch it again"
            ) from error
    else:
        return
    # consolidated*.safetensors are the same weights as Mistral's own code names them
    found = {path.name for path in folder.glob("*.safetensors") if not path.name.startswith("consolidated")}
    if unread := sorted(found - read):
        raise ValueError(
            f"{name}: {folder} holds {len(unread)} weight files that would not be read, such as {unread[0]}, beside "
            f"{min(read)}; take out those that do not belong to it"
        )
