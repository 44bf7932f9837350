"""The lock, the conda file, envs/setup.sh and the Makefile."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CHOSEN_BY_SETUP = ("nvidia-", "cuda-", "triton", "torch", "uv", "pip")


def requirements(path: Path) -> list[Requirement]:
    """Requirements of a file, comments dropped."""
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def direct() -> list[Requirement]:
    return requirements(ROOT / "envs/requirements.in")


@pytest.fixture(scope="module")
def lock() -> list[Requirement]:
    return requirements(ROOT / "envs/requirements.txt")


def test_every_direct_dependency_is_locked_at_its_version(
    direct: list[Requirement], lock: list[Requirement]
) -> None:
    locked = {r.name: str(r.specifier) for r in lock}
    wanted = {r.name: str(r.specifier) for r in direct if r.name != "torch"}
    assert {name: locked.get(name) for name in wanted} == wanted


def test_every_direct_dependency_has_its_reason() -> None:
    lines = (ROOT / "envs/requirements.in").read_text().splitlines()
    assert [line for line in lines if "==" in line and "  # " not in line] == []


def test_lock_pins_exactly(lock: list[Requirement]) -> None:
    assert [str(r) for r in lock if not re.fullmatch(r"==[\w.!]+", str(r.specifier))] == []


def test_lock_leaves_torch_and_cuda_to_setup(lock: list[Requirement]) -> None:
    prefixes, names = CHOSEN_BY_SETUP[:2], CHOSEN_BY_SETUP[2:]
    assert [r.name for r in lock if r.name.startswith(prefixes) or r.name in names] == []


def test_lock_is_not_bound_to_one_python(lock: list[Requirement]) -> None:
    for name in {r.name for r in lock}:
        pins = [r for r in lock if r.name == name]
        for python in ("3.11.9", "3.12.1", "3.13.0"):
            environment = {
                "python_full_version": python,
                "python_version": python[:4],
                "sys_platform": "linux",
            }
            assert sum(r.marker is None or r.marker.evaluate(environment) for r in pins) <= 1, (name, python)


def test_installed_packages_need_nothing_outside_the_lock(lock: list[Requirement]) -> None:
    here = [r for r in lock if r.marker is None or r.marker.evaluate()]
    pins = {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in here}
    missing = []
    for r in here:
        try:
            needs = [Requirement(text) for text in metadata.requires(r.name) or []]
        except metadata.PackageNotFoundError:
            continue  # nothing to compare where somebody else's environment lacks it
        for need in needs:
            name = canonicalize_name(need.name)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            if name in CHOSEN_BY_SETUP:
                continue
            if name not in pins or not need.specifier.contains(pins[name], prereleases=True):
                missing.append(f"{r.name} needs {need}, locked is {pins.get(name)}")
    assert missing == []


def test_conda_file_has_the_pins_of_the_lock(direct: list[Requirement], lock: list[Requirement]) -> None:
    dependencies = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())["dependencies"]
    pip = next(d["pip"] for d in dependencies if isinstance(d, dict))
    pins = [Requirement(line) for line in pip if not line.startswith("--")]
    torch = next(r for r in direct if r.name == "torch")
    assert {str(r) for r in pins if r.name != "torch"} == {str(r) for r in lock}
    assert {str(r.specifier) for r in pins if r.name == "torch"} == {
        str(torch.specifier),
        f"{torch.specifier}+cpu",
    }
    assert "python >=3.11,<3.14" in dependencies


@pytest.mark.parametrize("script", ["envs/setup.sh", ".ci/run", "tests/workflow/slurm/one-node.sh"])
def test_shell_script_parses(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)


class Clone:
    """A folder with what setup.sh reads, and on its PATH stand-ins for python3 and uv."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, root / "calls"
        (root / "envs").mkdir()
        self.bin = root / "bin"
        self.bin.mkdir()
        for name in ("envs/setup.sh", "envs/requirements.in", "envs/requirements.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        self.put("python3", f'exec "{sys.executable}" "$@"')
        self.put_uv('echo "$*" >>calls')

    def put_uv(self, body: str) -> None:
        venv = "mkdir -p .venv/bin; touch .venv/pyvenv.cfg; cp bin/python3 .venv/bin/python"
        self.put("uv", f'{body}\nif [ "$1" = venv ]; then {venv}; fi')

    def put(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/bash\n{body}\n")
        (self.bin / name).chmod(0o755)

    def setup(self, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Runs setup.sh; gives its result and what it asked of uv."""
        self.calls.write_text("")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "TORCH", "PYTHON"))}
        kept["PATH"] = f"{self.bin}:{os.environ['PATH']}"
        result = subprocess.run(
            ["bash", self.root / "envs/setup.sh"], env=kept | variables, capture_output=True, text=True
        )
        return result, self.calls.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_setup_takes_the_lock_without_dependencies_then_cpu_torch(clone: Clone) -> None:
    result, calls = clone.setup()
    assert result.returncode == 0, result.stderr
    assert calls[0].startswith("venv")
    assert calls[1].endswith("--no-deps -r envs/requirements.txt")
    assert re.search(
        r"--no-deps torch==[\d.]+$" if sys.platform == "darwin" else r"--no-deps torch==[\d.]+\+cpu$",
        calls[2],
    )
    assert calls[3].endswith("--no-deps --no-build-isolation -e .")


def test_wheel_folders_and_no_index_of_pip_hold_for_uv(clone: Clone) -> None:
    clone.put_uv('echo "$UV_FIND_LINKS $*" >>calls')
    _, calls = clone.setup(PIP_FIND_LINKS="wheels more", PIP_NO_INDEX="1")
    assert all(call.startswith("wheels,more pip install") and " --no-index " in call for call in calls[1:])


def test_setup_does_nothing_when_nothing_changed(clone: Clone) -> None:
    clone.setup()
    result, calls = clone.setup()
    assert (result.returncode, result.stdout, calls) == (0, "", [])


def test_setup_updates_in_place_after_a_change_of_the_lock(clone: Clone) -> None:
    clone.setup()
    (clone.root / "envs/requirements.txt").write_text("numpy==2.4.6\n")
    _, calls = clone.setup()
    assert [call.split()[0] for call in calls] == ["pip"] * 3


def test_setup_starts_afresh_after_an_interruption(clone: Clone) -> None:
    clone.setup()
    (clone.root / ".venv/setup.unfinished").touch()
    _, calls = clone.setup()
    assert calls[0].startswith("venv")
    assert clone.setup()[1] == []


def test_setup_keeps_the_build_of_torch_until_told_otherwise(clone: Clone) -> None:
    _, calls = clone.setup(TORCH="cu130")
    assert "+cu130 --extra-index-url https://download.pytorch.org/whl/cu130" in calls[2]
    assert clone.setup()[1] == []
    _, calls = clone.setup(TORCH="cpu")
    assert calls[0].startswith("venv")


def test_setup_says_in_one_line_what_failed(clone: Clone) -> None:
    clone.put_uv('if [ "$1" = pip ]; then echo "error: dns error" >&2; exit 2; fi')
    result, _ = clone.setup()
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "no network" in result.stderr
    assert "PIP_FIND_LINKS" in result.stderr


def test_setup_refuses_an_old_python(clone: Clone) -> None:
    clone.put("python3", 'if [ "$1" = --version ]; then echo Python 3.9.18; else exit 1; fi')
    result, calls = clone.setup(PYTHON="python3")
    assert (result.returncode, calls) == (1, [])
    assert result.stderr == "setup: PYTHON=python3 is not Python 3.11 or newer\n"


def test_setup_leaves_a_folder_that_is_no_environment_alone(clone: Clone) -> None:
    (clone.root / ".venv").mkdir()
    (clone.root / ".venv/notes").write_text("mine")
    result, calls = clone.setup()
    assert (result.returncode, calls) == (1, [])
    assert (clone.root / ".venv/notes").read_text() == "mine"


def make(*arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_help_is_the_default_and_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    listed = re.findall(r"^  make (\S+) +\S", make(), re.MULTILINE)
    assert listed == targets[1].split()


@pytest.mark.parametrize("target", ["study", "test", "check", "tiny-study"])
def test_target_sets_up_first(target: str) -> None:
    assert make("-n", target).splitlines()[0].endswith("bash envs/setup.sh")


def test_notebooks_find_the_kernel_of_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("not in a virtual environment")
    program = "from jupyter_client.kernelspec import KernelSpecManager as K; print(K().find_kernel_specs()['python3'])"
    user_level = tmp_path / "kernels/python3"
    user_level.mkdir(parents=True)
    (user_level / "kernel.json").write_text(
        '{"argv": ["other"], "display_name": "other", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert Path(found.strip()).is_relative_to(sys.prefix)
