from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving import cpu_quota, settings


def test_the_fields_and_their_default_values() -> None:
    assert settings.Settings().model_dump() == {
        "host": "127.0.0.1",
        "port": 8080,
        "grpc_port": None,
        "tls_cert": None,
        "tls_key": None,
        "tls_client_ca": None,
        "tls_port": 8443,
        "tls_also_plain": False,
        "max_body_bytes": 4_194_304,
        "max_request_rows": 4096,
        "max_request_values": 300_000,
        "max_row_keys": 8192,
        "max_answer_bytes": 16_777_216,
        "queue_rows": 8192,
        "queue_bytes": 67_108_864,
        "threads": 1,
        "workers": None,
        "spill_share": 0.1,
        "call_timeout_s": 60.0,
        "load_timeout_s": 600.0,
        "drain_s": 5.0,
        "finish_s": 20,
        "keep_alive_s": 75,
        "receive_s": 60,
        "max_connections": 4096,
        "answers_bytes": 1024 * 1024,
        "cache_bytes": 0,
        "cache_ttl_s": 300.0,
        "feedback_bytes": 0,
        "feedback_within_s": 2592000,
        "record_share": 0.0,
        "record_dir": None,
        "record_bytes": 67_108_864,
        "record_age_s": 604_800.0,
        "record_redact": (),
        "record_hash": (),
        "log_level": "info",
        "log_format": "auto",
        "folder_sha256": "",
        "check_folder": False,
        "service": None,
        "failure_file": None,
        "compute_threads": None,
        "device": "auto",
    }


def test_every_field_can_be_set_by_its_variable() -> None:
    changed = {
        "host": "0.0.0.0",
        "port": "1",
        "tls_cert": "/tls/tls.crt",
        "tls_key": "/tls/tls.key",
        "tls_client_ca": "/tls/ca.crt",
        "tls_port": "4",
        "tls_also_plain": "True",
        "max_body_bytes": "10",
        "max_request_rows": "2",
        "max_request_values": "1001",
        "max_row_keys": "101",
        "max_answer_bytes": "1025",
        "queue_rows": "3",
        "queue_bytes": "11",
        "threads": "4",
        "workers": "2",
        "spill_share": "0.5",
        "call_timeout_s": "30.0",
        "load_timeout_s": "40.0",
        "drain_s": "0.5",
        "finish_s": "6",
        "keep_alive_s": "7",
        "receive_s": "8",
        "max_connections": "9",
        "answers_bytes": "4096",
        "cache_bytes": "1048576",
        "cache_ttl_s": "5.0",
        "feedback_bytes": "8192",
        "feedback_within_s": "60",
        "record_share": "0.25",
        "record_dir": "/recording",
        "record_bytes": "65536",
        "record_age_s": "60.0",
        "log_level": "error",
        "log_format": "json",
        "folder_sha256": "ab" * 32,
        "check_folder": "True",
        "service": "iris-1f0c2e4d5a.models",
        "failure_file": "/dev/termination-log",
        "compute_threads": "8",
        "device": "cpu",
    }
    # Which needs one process; and lists.
    others = {"grpc_port", "record_redact", "record_hash"}
    assert {*changed, *others} == set(settings.Settings.model_fields)
    read = settings.read({f"FAIRLEAD_SERVING_{name.upper()}": value for name, value in changed.items()})
    assert {name: str(value) for name, value in read.model_dump(exclude=others).items()} == changed


def test_a_list_of_names_is_written_with_commas() -> None:
    assert settings.read({"FAIRLEAD_SERVING_RECORD_REDACT": "name, street,"}).record_redact == ("name", "street")


def test_a_flag_takes_precedence_over_the_variable_and_the_variable_over_port() -> None:
    environ = {"PORT": "1", "FAIRLEAD_SERVING_PORT": "2"}
    assert settings.read({"PORT": "1"}).port == 1
    assert settings.read(environ).port == 2
    assert settings.read(environ, port=3).port == 3
    assert settings.read(environ, port=None).port == 2


def test_what_the_chart_sets_is_read_from_variables_without_the_prefix() -> None:
    assert settings.read({settings.SERVED_AS: "iris-1f0c2e4d5a.models"}).service == "iris-1f0c2e4d5a.models"
    assert settings.read({settings.FAILURE_FILE: "/dev/termination-log"}).failure_file == Path("/dev/termination-log")
    # An older image rejects unknown variables that have the prefix.
    for variable in (settings.SERVED_AS, settings.FAILURE_FILE):
        assert not variable.startswith(settings.ENV_PREFIX)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"FAIRLEAD_SERVING_CHECK_FOLDER": "true"}, "folder_sha256"),
        ({"FAIRLEAD_SERVING_DRAIN_S": "soon"}, "drain_s"),
        ({"FAIRLEAD_SERVING_DRAIN": "1"}, "drain"),
        ({"PORT": "eighty"}, "port"),
        ({"FAIRLEAD_SERVING_RECORD_SHARE": "0.1"}, "record_share needs record_dir"),
        ({"FAIRLEAD_SERVING_QUEUE_ROWS": "1"}, "queue_rows must not be less than max_request_rows"),
        ({"FAIRLEAD_SERVING_QUEUE_BYTES": "1"}, "queue_bytes must not be less than max_body_bytes"),
    ],
)
def test_an_invalid_value_is_reported_with_its_name(environ: dict[str, str], named: str) -> None:
    with pytest.raises(errors.Invalid, match=named):
        settings.read(environ)


def test_every_field_has_a_docstring() -> None:
    source = settings.__file__
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for name in settings.Settings.model_fields:
        after = text.split(f"    {name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""'), f"{name} has no docstring"


def test_the_time_limit_of_a_call_is_read_from_the_charts_variable_unless_it_is_set() -> None:
    environ = {settings.CALL_TIMEOUT: "120"}
    assert settings.read(environ).call_timeout_s == 120
    assert settings.read(environ | {"FAIRLEAD_SERVING_CALL_TIMEOUT_S": "90"}).call_timeout_s == 90


@pytest.mark.parametrize(("given", "count"), [("auto", 3), ("1", 1), ("64", 64), ("", None)])
def test_workers_are_a_number_or_as_many_as_cpus(given: str, count: int | None) -> None:
    chosen = settings.read({"FAIRLEAD_SERVING_WORKERS": given}).workers
    assert cpu_quota.workers(chosen, 3) == count


@pytest.mark.parametrize("wrong", ["0", "65", "two", "1.5"])
def test_any_other_number_of_workers_is_refused(wrong: str) -> None:
    with pytest.raises(errors.Invalid, match="workers: must be a number from 1 to 64, or auto, not"):
        settings.read({}, workers=wrong)


def test_grpc_has_a_port_of_its_own_and_needs_one_process() -> None:
    assert settings.read({"FAIRLEAD_SERVING_GRPC_PORT": "9000"}).grpc_port == 9000
    with pytest.raises(errors.Invalid, match="grpc_port needs one process: leave workers out"):
        settings.read({}, grpc_port=9000, workers="2")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tls_cert": "tls.crt"}, "tls_cert and tls_key belong together"),
        ({"tls_key": "tls.key"}, "tls_cert and tls_key belong together"),
        ({"tls_client_ca": "ca.crt"}, "need tls_cert and tls_key"),
        ({"tls_cert": "tls.crt", "tls_key": "tls.key", "grpc_port": 9000}, "grpc_port has no TLS"),
    ],
)
def test_settings_of_tls_that_would_leave_a_gap_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(errors.Invalid, match=said):
        settings.read({}, **given)
