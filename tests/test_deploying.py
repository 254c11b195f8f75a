"""The files in .deploy/ name what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from stenoflow.flows.cli.app import _COMMANDS
from stenoflow.tasks.settings import load_settings
from stenoflow.tasks.settings.files import unknown_settings
from tests.servers.s3 import Bucket

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


def test_all_containers_have_the_same_file_of_settings_and_all_of_it_can_be_used(
    services: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [each for each in services.values() if each["image"] == "stenoflow"]
    for service in ours:
        (mounted,) = service["configs"]
        assert service["environment"]["STENOFLOW_CONFIG"] == mounted["target"]
    composed = yaml.safe_load((_FILES / "compose.yaml").read_text("utf-8"))
    written = (_FILES / composed["configs"]["settings"]["file"]).read_text("utf-8")
    assert tomllib.loads(written) == {}
    used = tmp_path / "stenoflow.toml"
    lines = [line.removeprefix("# ") for line in written.splitlines()]
    used.write_text("\n".join(line for line in lines if line.startswith("[") or " = " in line), "utf-8")
    monkeypatch.setenv("STENOFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("STENOFLOW_CONFIG", str(used))
    settings = load_settings()
    assert (settings.budgets.month, settings.retention.sound) == (Decimal(100), 30.0)
    assert [each.name for each in settings.inboxes] == ["meetings"]
    assert list(unknown_settings(type(settings))) == []


@pytest.mark.program
def test_the_bucket_is_made_once_and_nothing_else_that_fails_is_passed_over(
    services: dict[str, Any], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command,) = services["setup"]["command"]
    made = command.replace("stenoflow db upgrade", "").replace('"stenoflow"', '"made-by-setup"')
    shell, options = services["setup"]["entrypoint"]
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    ended = []
    for nowhere in (False, True):
        if nowhere:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
            monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        for _ in range(2):
            run = subprocess.run([shell, options, made], capture_output=True, text=True, check=False)
            ended.append((run.returncode != 0, run.stderr))
    assert bucket.name
    assert [failed for failed, _ in ended] == [False, False, True, True], ended


def test_no_region_is_given_by_a_variable_that_nothing_reads() -> None:
    for file in _FILES.iterdir():
        assert not re.search(r"^\s*AWS_REGION\b", file.read_text("utf-8"), re.MULTILINE), file


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


def test_doctor_is_run_as_the_unit_is() -> None:
    text = (_FILES / "stenoflow-serve.service").read_text("utf-8")
    comment = text.partition("[Unit]")[0].replace("\\\n#", "")
    (run,) = [line for line in comment.splitlines() if "systemd-run" in line]
    assert run.endswith("/opt/stenoflow/bin/stenoflow doctor")
    given = re.findall(r"-p (\S+)", run)
    assert "User=stenoflow" in given
    assert "EnvironmentFile=-/etc/stenoflow/env" in given
    for each in given:
        assert re.search(rf"^{re.escape(each)}", text, re.MULTILINE), each


@pytest.mark.parametrize("unit", ["stenoflow-serve.service", "stenoflow-worker.service"])
def test_a_unit_says_how_recordings_are_moved_out_of_folders(unit: str) -> None:
    lines = (_FILES / unit).read_text("utf-8").splitlines()
    assert any(line.startswith("#ReadWritePaths=") for line in lines)
