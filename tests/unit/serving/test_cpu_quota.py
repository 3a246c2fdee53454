import pytest

from fairlead.serving import cpu_quota


@pytest.mark.parametrize(
    ("text", "visible", "expected"),
    [
        ("200000 100000", 8, 2),
        ("150000 100000", 8, 2),
        ("50000 100000\n", 8, 1),
        ("max 100000", 8, 8),
        ("800000 100000", 4, 4),
        ("", 3, 3),
        ("what", 3, 3),
        ("0 100000", 3, 3),
        ("100000 0", 3, 3),
        ("max", 0, 1),
    ],
)
def test_cpus_come_from_the_quota_and_never_exceed_what_is_visible(text: str, visible: int, expected: int) -> None:
    assert cpu_quota.cpus(text, visible) == expected


def test_every_library_gets_its_share_of_the_cpus() -> None:
    assert set(cpu_quota.environment({}, cpus=8, threads=2, compute_threads=None).values()) == {"4"}
    assert set(cpu_quota.environment({}, cpus=1, threads=4, compute_threads=None).values()) == {"1"}
    assert set(cpu_quota.environment({}, cpus=8, threads=2, compute_threads=3).values()) == {"3"}


def test_a_variable_that_is_already_set_is_not_changed() -> None:
    variables = cpu_quota.environment({"OMP_NUM_THREADS": "7"}, cpus=2, threads=1, compute_threads=None)
    assert "OMP_NUM_THREADS" not in variables
    assert variables["OPENBLAS_NUM_THREADS"] == "2"


def test_this_process_has_at_least_one_cpu() -> None:
    assert cpu_quota.available() >= 1


@pytest.mark.parametrize(("given", "threads"), [("3", 3), ("", None), ("0", None), ("4,2", None)])
def test_a_library_with_an_option_for_threads_gets_those_of_the_variables(given: str, threads: int | None) -> None:
    assert cpu_quota.compute_threads({"OMP_NUM_THREADS": given}) == (threads or cpu_quota.available())
