"""The classes of reasons why a model of ONNX's tests is not answered as ONNX expects."""

from __future__ import annotations

from collections.abc import Mapping

OTHERWISE = "onnxruntime alone answers otherwise, or not at all"
NO_VALUES = "a tensor without values: a size of 0 in the file means an unknown size"
NOT_FINITE = "NaN or infinity in an answer"
UNKNOWN = "not explained"
CRASHED = "the process ended"
CLASSES: Mapping[str, str] = {
    r"is no tensor": "a sequence, a map or an optional value where a tensor must be",
    r"of the type 16 of ONNX": "BF16 at an input or output",
    r"of the type (14|15) of ONNX": "complex numbers at an input or output",
    r"of the type (17|18|19|20|24) of ONNX": "FP8 at an input or output",
    r"of the type (21|22|23|25|26) of ONNX": "numbers of 2 or 4 bits at an input or output",
    r"there are 0; a model has 1": "a model without inputs",
    r"[Ff]ailed to construct locale": "the locale en_US is not installed",
    r"should be a finite number": "NaN or infinity in a row",
    r"onnxruntime \S+ cannot load": "an operator, or a version of one, that onnxruntime does not have",
}
"""What an error says, and its class. The first that fits counts."""
