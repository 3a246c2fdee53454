"""Every class and function that a Keras model names is one of Keras itself, or the model is refused."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fairlead.serving.formats import keras_config
from fairlead.serving.formats.archives import Broken
from support.formats import keras_files as files

CODE = files.layer("Lambda", name="double", function={"class_name": "__lambda__", "config": {"code": "AAAA"}})
PLAIN = files.model(files.dense(activation=files.function("relu", "keras.activations")))


def test_a_model_of_layers_of_keras_has_no_code() -> None:
    assert keras_config.check(PLAIN, ()) is False
    assert keras_config.check(files.model(files.layer("Dense", None, units=1)), ()) is False  # as HDF5 has it


def test_lambda_layers_are_refused_unless_all_of_them_are_named() -> None:
    inside = files.model(
        CODE, files.layer("TimeDistributed", layer=copy.deepcopy(CODE) | {"config": {"name": "inner"}})
    )
    for trusted, left in (((), {"double", "inner"}), (("double",), {"inner"}), (("inner", "other"), {"double"})):
        with pytest.raises(keras_config.Lambdas) as caught:
            keras_config.check(inside, trusted)
        assert set(caught.value.names) == left
    assert keras_config.check(inside, ("double", "inner")) is True


@pytest.mark.parametrize(
    "module", ["os", "keras.utils", "keras.src.utils", "keras.src.layers.core", "keras.layers.x", ""]
)
@pytest.mark.parametrize("name", ["Dense", "function"])
def test_a_name_of_any_other_module_is_refused(module: str, name: str) -> None:
    one = files.function("relu", module) if name == "function" else files.layer(name, module)
    with pytest.raises(Broken, match="which is no layer or function of Keras"):
        keras_config.check(files.model(one), ())


@given(some.recursive(some.none() | some.integers() | some.text(), lambda inner: some.lists(inner) | some.dictionaries(
    some.sampled_from(["class_name", "config", "module", "name", "layers"]), inner)))  # fmt: skip
def test_any_configuration_is_checked_or_refused(config: Any) -> None:
    with suppress(Broken, keras_config.Lambdas):
        keras_config.check({"class_name": "Sequential", "config": config}, ())
    with suppress(Broken, keras_config.Lambdas):
        keras_config.check(config, ())
    keras_config.with_open_rows(config)


def test_the_rows_of_a_batch_are_opened_and_the_training_is_left_out() -> None:
    given_one = files.layer("InputLayer", batch_shape=[2, 4]) | {"compile_config": {"loss": "mine"}}
    opened = keras_config.with_open_rows([given_one])
    assert opened == [files.layer("InputLayer", batch_shape=[None, 4])]
