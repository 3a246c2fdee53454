"""Models without a class whose artifact is a booster: trees over columns, as XGBoost and LightGBM train them.

The file names its columns with their types and what it answers, so `signature` makes the `inputs` and `outputs`, and
`model_class` compares those of the manifest with them. A row becomes one row of an array, in the booster's order. A
value that is null is NaN there, and one of a category the category's code.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from fairlead import errors
from fairlead.contracts.columns import FLOATS
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.model import Model
from fairlead.serving.formats import base, datatypes, declared, networks

FEATURES = "features"
"""The one input of a booster whose columns have no names."""
Convert = Callable[[Sequence[BaseModel]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Feature:
    """A column. `values` are the categories in the order of their codes; they are empty if the file has no names."""

    name: str
    kind: Literal["number", "integer", "truth", "category"] = "number"
    values: tuple[str | int, ...] = ()
    may_be_missing: bool = True


@dataclass(frozen=True, slots=True)
class Described:
    """What a booster says of itself: its columns, whether they have names, its answer, and the floats it computes in.

    `answers`: `score` is a number as it is, `binary` the probability of the second class, `classes` those of all, and
    `label` the class alone. `width` is how many numbers a row has for it.
    """

    features: tuple[Feature, ...]
    is_named: bool
    answers: Literal["score", "binary", "classes", "label"]
    width: int
    margins: int
    datatype: Literal["FP32", "FP64"]

    @property
    def classes(self) -> int:
        """How many classes there are; 0 if the answer is a number."""
        return 0 if self.answers == "score" else 2 if self.answers == "binary" else max(self.margins, 2)

    def inputs(self) -> tuple[Tensor, ...]:
        """One input for each column, or one for all if they have no names, or too many. Raises Invalid."""
        if not self.is_named or len(self.features) > networks.MAX_TENSORS:
            return (_tensor(FEATURES, self.datatype, len(self.features)),)
        names: dict[str, str] = {}
        for feature in self.features:
            name = first = networks.field_name(feature.name)
            number = 2
            while name in names:
                name, number = f"{first[:60]}_{number}", number + 1
            names[name] = feature.name
        return tuple(_input(name, feature, self.datatype) for name, feature in zip(names, self.features, strict=True))

    def outputs(self) -> tuple[Tensor, ...]:
        """The answers that a manifest gets which names none."""
        return tuple(one for one in self.possible() if one.name != "margin")

    def possible(self) -> tuple[Tensor, ...]:
        """All answers that a manifest may name."""
        size = () if self.width == 1 else (self.width,)
        margin = _tensor("margin", self.datatype, *(() if self.margins == 1 else (self.margins,)))
        match self.answers:
            case "score":
                return (_tensor("prediction", self.datatype, *size), margin)
            case "label":
                return (_tensor("label", "INT64", *size), margin)
            case "classes":
                return (_tensor("label", "INT64"), _tensor("probabilities", self.datatype, *size), margin)
            case "binary":
                return (_tensor("label", "INT64", *size), _tensor("probability", self.datatype, *size), margin)


class Booster(Protocol):
    """A loaded booster."""

    described: Described

    def values(self, rows: np.ndarray, *, margin: bool) -> np.ndarray:
        """The library's own answers to an array [rows, features]; `margin`: the sums of the trees. May raise any."""


class Adapter(base.Described, Protocol):
    """A format of boosters."""

    held: Literal["float32", "float64"]
    """The type of the array that a booster reads."""


def model_class(manifest: Manifest, adapter: Adapter) -> type[Model[Any, Any]]:
    """A model class that reads the booster from the artifact with `adapter` and asks it."""

    class Declared(_Boosted):
        def load(self, artifact: Path) -> None:
            self.open(adapter.read(artifact), manifest)

    Declared.row_type = declared.object_type("Row", manifest.inputs, held=adapter.held)
    Declared.answer_type = declared.object_type("Answer", manifest.outputs)
    return Declared


class _Boosted(Model[BaseModel, BaseModel]):
    """Asks a booster with one array for all rows."""

    def open(self, booster: Booster, manifest: Manifest) -> None:
        """Keep the booster. Raises Invalid if it does not fit the manifest."""
        described = booster.described
        self._convert = _convert(described, manifest.inputs)
        _check_outputs(described, manifest.outputs)
        self._booster, self._outputs = booster, manifest.outputs
        self._read: Callable[[Any], list[BaseModel]] = TypeAdapter(list[self.answer_type]).validate_python  # type: ignore[name-defined]

    def predict(self, rows: list[BaseModel]) -> list[BaseModel]:
        """Ask the booster once for the whole batch, and once more if the margins are wanted beside its answers."""
        array, names = self._convert(rows), [one.name for one in self._outputs]
        found = {kind: self._booster.values(array, margin=kind) for kind in {name == "margin" for name in names}}
        columns = [networks.column(one, self._answer(one, found), len(rows)) for one in self._outputs]
        try:
            return self._read([dict(zip(names, answer, strict=True)) for answer in zip(*columns, strict=True)])
        except ValidationError as cause:
            raise declared.not_of_the_type(cause, "booster", depth=1) from None

    def _answer(self, output: Tensor, found: Mapping[bool, np.ndarray]) -> np.ndarray:
        if output.name != "label":
            return found[output.name == "margin"]
        values = found[False]
        match self._booster.described.answers:
            case "binary":
                places = (values > 0.5).astype(np.int64)
            case "classes":
                places = values.argmax(axis=1)
            case _:
                places = values.astype(np.int64)
        return np.array(output.choices)[places] if output.choices else places


def _tensor(name: str, datatype: str, *size: int) -> Tensor:
    return Tensor.model_validate({"name": name, "datatype": datatype, "shape": (-1, *size)})


def _input(name: str, feature: Feature, number: str) -> Tensor:
    stated: dict[str, Any] = {"name": name, "datatype": number, "nullable": feature.may_be_missing}
    match feature.kind:
        case "integer":
            stated["datatype"] = "INT64"
        case "truth":
            stated["datatype"] = "BOOL"
        case "category":
            is_text = bool(feature.values) and isinstance(feature.values[0], str)
            stated |= {"datatype": "BYTES" if is_text else "INT64", "choices": feature.values}
            if not feature.values:
                stated["minimum"] = 0
        case _:
            pass
    if name != feature.name:
        stated["column"] = feature.name
    try:
        return Tensor.model_validate(stated)
    except ValidationError as cause:
        raise errors.Invalid(
            f"the column {feature.name[:64]!r} of the booster cannot be an input: {cause.errors()[0]['msg']}",
            hint="Give it a name, and categories that are all texts or all whole numbers, and train again.",
        ) from None


def _convert(described: Described, inputs: Sequence[Tensor]) -> Convert:
    """The function that makes the booster's array of rows. Raises Invalid if the inputs are not its columns."""
    dtype = datatypes.array_type(described.datatype)
    if len(inputs) == 1 and len(inputs[0].shape) > 1:
        _check_width(described, inputs[0])
        values = operator.attrgetter(inputs[0].name)
        return lambda rows: np.array([values(row) for row in rows], dtype=dtype)
    ordered = _in_order(described, inputs)
    for tensor, feature in zip(ordered, described.features, strict=True):
        _check_input(described, tensor, feature)
    names = [tensor.name for tensor in ordered]
    codes = {
        place: {value: code for code, value in enumerate(feature.values)} | {None: None}
        for place, feature in enumerate(described.features)
        if feature.values
    }

    def to_array(rows: Sequence[BaseModel]) -> np.ndarray:
        listed = [[fields[name] for name in names] for fields in (row.__dict__ for row in rows)]
        for place, code in codes.items():
            for row in listed:
                row[place] = code[row[place]]
        return np.array(listed, dtype=dtype)  # None becomes NaN

    return to_array


def _check_width(described: Described, only: Tensor) -> None:
    count = len(described.features)
    if only.shape != (-1, count) or only.datatype != described.datatype:
        raise errors.Invalid(
            f"fairlead.yaml: inputs: {only.name} is {only.datatype} {list(only.shape)}, and the booster has {count} "
            f"columns and reads {described.datatype}",
            hint=f"Give {only.name} the datatype {described.datatype} and the shape [-1, {count}].",
        )


def _in_order(described: Described, inputs: Sequence[Tensor]) -> list[Tensor]:
    if lists := [one.name for one in inputs if len(one.shape) > 1]:
        raise errors.Invalid(
            f"fairlead.yaml: inputs: {lists[0]} has several values per row, so it must be the only one"
        )
    if not described.is_named:
        if len(inputs) != len(described.features):
            raise errors.Invalid(
                f"fairlead.yaml: inputs: there are {len(inputs)} for {len(described.features)} columns of the booster",
                hint="Its columns have no names: the inputs are taken in their order.",
            )
        return list(inputs)
    by_name = {one.in_table: one for one in inputs}
    names = [feature.name for feature in described.features]
    missing, unknown = [name for name in names if name not in by_name], sorted(by_name.keys() - set(names))
    if missing or unknown:
        what = "; ".join(
            f"{kind} {', '.join(those)}" for kind, those in (("missing:", missing), ("unknown:", unknown)) if those
        )
        raise errors.Invalid(
            f"fairlead.yaml: inputs: {what}",
            hint=f"The booster has the columns {', '.join(names)}. `column` names one whose input has another name.",
        )
    return [by_name[name] for name in names]


def _check_input(described: Described, tensor: Tensor, feature: Feature) -> None:
    """Raise Invalid if values of the input are none of the column."""
    where = f"fairlead.yaml: inputs: {tensor.name}"
    if feature.values:
        if not tensor.choices or (unknown := [one for one in tensor.choices if one not in feature.values]):
            told = f"{unknown[0]!r} is no category of the booster" if tensor.choices else "it needs `choices`"
            listed = ", ".join(map(repr, feature.values))
            raise errors.Invalid(f"{where}: {told}", hint=f"Its categories are {listed[:400]}.")
        return
    too_wide = {"BYTES", "FP64"} if described.datatype == "FP32" else {"BYTES"}
    if tensor.datatype in too_wide or (feature.kind == "category" and tensor.datatype in FLOATS):
        reads = "codes of categories: whole numbers" if feature.kind == "category" else described.datatype
        raise errors.Invalid(
            f"{where} is {tensor.datatype}, and the booster reads {reads}",
            hint=f"Leave out `inputs`, or give it the datatype {_input('x', feature, described.datatype).datatype}.",
        )
    if tensor.column_type is not None:
        raise errors.Invalid(f"{where}: a booster gets an array, which has no `column_type`", hint="Leave it out.")


def _check_outputs(described: Described, outputs: Sequence[Tensor]) -> None:
    possible = described.possible()
    labels = [one for one in outputs if one.name == "label" and one.choices]
    if labels and len(labels[0].choices) != described.classes:
        raise errors.Invalid(
            f"fairlead.yaml: outputs: label has {len(labels[0].choices)} choices, and the booster has "
            f"{described.classes} classes",
            hint="Name all classes in the order of their numbers in training, or leave out `choices`.",
        )
    by_name = {one.name: one for one in possible}
    same = [
        one.model_copy(update={"datatype": "INT64"}) if one in labels and "label" in by_name else one for one in outputs
    ]
    networks.agreed("outputs", same, possible)
