"""Execute a notebook with its parameters and render it as HTML; a failed one is kept for reading."""

import logging
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from steering_study.store.artifacts import replacing
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

KERNEL = "python3"
TRANSIENT = ("papermill", "execution")  # metadata that tells when and where a notebook ran

# Where nbconvert's page would look for scripts on the web. What needs them is not used here: the values
# only have to name no host.
OFFLINE = Config(
    {
        "HTMLExporter": {
            "require_js_url": "",
            "jquery_url": "",
            "mathjax_url": "",
            "mermaid_js_url": "",
            "mermaid_layout_elk_js_url": "",
            "jupyter_widgets_base_url": "",
        }
    }
)

logger = logging.getLogger("steering_study")


def main(notebook: Path, *, parameters: Mapping[str, Any], executed: Path, ipynb: Path, html: Path) -> None:
    """Write the executed notebook and its page.

    Args:
        executed: where papermill writes while it runs; stays when the notebook fails.

    Raises:
        ValueError: if a parameter is not one of the notebook's, or a cell fails.
    """
    check_parameters(notebook, parameters)
    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        execute(notebook, executed, parameters)
    except PapermillExecutionError as error:
        raise ValueError(
            f"{notebook.name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}; "
            f"the notebook as far as it came is {executed}"
        ) from error
    ran = settle(nbformat.read(executed, as_version=4))
    page = to_html(ran, name=ipynb.stem)
    nbformat.write(ran, executed)
    with replacing(ipynb) as temporary:
        shutil.copyfile(executed, temporary)
    with replacing(html) as temporary:
        temporary.write_text(page, "utf-8")


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Compare names with the notebook's own; papermill itself only warns of an unknown one."""
    known = papermill.inspect_notebook(str(notebook))
    if set(known) != set(parameters):
        unknown, missing = sorted(set(parameters) - set(known)), sorted(set(known) - set(parameters))
        raise ValueError(
            f"{notebook.name} has parameters {', '.join(known) or 'none'}; unknown {unknown}, not given {missing}. "
            "Change its cell tagged `parameters`, or the frames of its section in workflow/report/sections/"
        )


def execute(notebook: Path, executed: Path, parameters: Mapping[str, Any]) -> None:
    """Run every cell in the working directory of this job."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notices of Jupyter's libraries about each other
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters=dict(parameters),
            kernel_name=KERNEL,
            progress_bar=False,
            log_output=False,
            # of the kernel; it warns of the loopback connection, and of its end
            extra_arguments=["--log-level=CRITICAL"],
        )


def settle(notebook: NotebookNode) -> NotebookNode:
    """Drop times and durations, and number the cells' ids, so that equal inputs give equal files."""
    for key in TRANSIENT:
        notebook.metadata.pop(key, None)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place:03d}"
        for key in TRANSIENT:
            cell.metadata.pop(key, None)
    return notebook


def to_html(notebook: NotebookNode, *, name: str) -> str:
    """One page that needs nothing else; `name` is its title."""
    exporter = HTMLExporter(config=OFFLINE)
    exporter.mermaid_js_url = exporter.mermaid_layout_elk_js_url = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # idem
        page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name}})
    return page


if "snakemake" in globals():
    with job(snakemake):
        main(
            Path(snakemake.input.notebook),
            parameters=snakemake.params.parameters,
            executed=Path(snakemake.log.notebook),
            ipynb=Path(snakemake.output.ipynb),
            html=Path(snakemake.output.html),
        )
