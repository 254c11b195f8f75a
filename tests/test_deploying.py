"""The files in .deploy/ name what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from stenoflow.flows.cli.app import _COMMANDS

_FILES = Path(__file__).parents[1] / ".deploy"


@pytest.fixture
def services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((_FILES / "compose.yaml").read_text("utf-8"))
    return dict(composed["services"])


def test_services_wait_for_others_that_can_say_that_they_are_ready(services: dict[str, Any]) -> None:
    assert {"postgres", "s3", "setup", "desk", "deploy", "worker"} == set(services)
    for service in services.values():
        assert "image" in service
        for name, waits in service.get("depends_on", {}).items():
            ready = "healthcheck" in services[name] or waits["condition"] == "service_completed_successfully"
            assert ready, name


def test_every_variable_is_in_the_example_and_every_command_exists() -> None:
    composed = (_FILES / "compose.yaml").read_text("utf-8")
    named = set(re.findall(r"\$\{([A-Z_0-9]+)", composed))
    given = set(re.findall(r"^([A-Z_0-9]+)=$", (_FILES / "env.example").read_text("utf-8"), re.MULTILINE))
    assert named == given
    for file in _FILES.iterdir():
        for command in re.findall(
            r"(?:^|bin/|exec worker )stenoflow ([a-z]+)", file.read_text("utf-8"), re.MULTILINE
        ):
            assert command in {*_COMMANDS, "db"}, file


def test_containers_without_an_entrypoint_of_their_own_run_a_command(services: dict[str, Any]) -> None:
    ours = {name: each for name, each in services.items() if each["image"] == "stenoflow"}
    begun = {name: each["command"][0] for name, each in ours.items() if "entrypoint" not in each}
    assert begun == {"desk": "serve", "deploy": "deploy"}
    assert set(begun.values()) <= set(_COMMANDS)
    # The workers name the desk as it is told that it is called.
    address = urlsplit(ours["worker"]["environment"]["PREFECT_API_URL"])
    assert address.hostname in json.loads(ours["desk"]["environment"]["STENOFLOW_HOSTS"])
    assert (
        ours["worker"]["environment"]["PREFECT_API_AUTH_STRING"]
        == (ours["desk"]["environment"]["STENOFLOW_DASHBOARD_AUTH"])
    )


def test_a_clone_registers_what_the_command_registers() -> None:
    from stenoflow.flows.deployments import _described  # noqa: PLC0415 - imports Prefect
    from stenoflow.tasks.settings import Settings  # noqa: PLC0415 - the same

    written = yaml.safe_load((_FILES.parent / "prefect.yaml").read_text("utf-8"))["deployments"]
    entrypoints = {each["entrypoint"].rpartition(".")[2] for each in written}
    described = {flow.fn.__name__ for flow, _ in _described(Settings.model_construct())}
    assert entrypoints == described


@pytest.mark.parametrize(
    ("schema", "files"),
    [("compose-spec", ".deploy/compose.yaml"), ("github-workflows", ".github/workflows/*.yml")],
)
def test_files_for_other_programs_keep_their_schemas(schema: str, files: str) -> None:
    pytest.importorskip("check_jsonschema")
    found = sorted(map(str, _FILES.parent.glob(files)))
    asked = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *found]
    checked = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (bool(found), checked.returncode) == (True, 0), checked.stdout


def test_the_image_copies_what_there_is() -> None:
    lines = (_FILES / "Dockerfile").read_text("utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    sent = (_FILES / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for name in (name for names in copied for name in names):
        assert (_FILES.parent / name).exists()
        assert f"!{name}" in sent
    assert "USER stenoflow" in lines


_ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(_ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", ["stenoflow-serve.service", "stenoflow-worker.service"])
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    programs = str(Path(sys.executable).parent)
    text = (_FILES / unit).read_text("utf-8").replace("/opt/stenoflow/bin", programs)
    (tmp_path / unit).write_text(text)
    checked = subprocess.run(
        [str(_ANALYZE), "verify", "--recursive-errors=no", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit in line]) == (0, [])
