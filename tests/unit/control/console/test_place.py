"""The options of a command that the console shows."""

from __future__ import annotations

from pathlib import Path

from fairlead.control.console.place import Place


def test_a_command_about_a_model_names_the_models_namespace() -> None:
    place = Place.of_namespace("serving")
    assert place.of_model("team-a").with_options("fairlead status churn") == "fairlead status churn --namespace team-a"
    assert place.of_model("") == place


def test_on_one_machine_a_command_names_the_folder_of_state() -> None:
    place = Place.of_folder(Path("/srv/state"))
    assert place.of_model("default") == place
