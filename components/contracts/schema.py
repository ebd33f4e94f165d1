"""The schema of raw examples, as a tensorflow_metadata proto."""

from collections.abc import Sequence

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.utils import io_utils

from components.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY

_CLASS_NAMES_DOMAIN = "class_names"

_TEMPLATE = """
feature { name: "%(image)s" type: BYTES shape { dim { size: 1 } } presence { min_fraction: 1.0 min_count: 1 }
  image_domain { } }
feature { name: "%(label)s" type: INT shape { dim { size: 1 } } presence { min_fraction: 1.0 min_count: 1 }
  int_domain { name: "label" min: 0 max: %(last_label)d is_categorical: true } }
feature { name: "%(id)s" type: BYTES shape { dim { size: 1 } } presence { min_fraction: 1.0 min_count: 1 }
  natural_language_domain { } }
dataset_constraints { min_examples_count: 1 }
"""


def build_schema(class_names: Sequence[str]) -> schema_pb2.Schema:
    """Builds the schema of a photo set with the given classes, in label order.

    Every feature is present exactly once, a label is an index into `class_names`, and a split holds at least one
    example. The class names are in the schema as a string domain.
    """
    values = {"image": IMAGE_KEY, "label": LABEL_KEY, "id": ID_KEY, "last_label": len(class_names) - 1}
    schema: schema_pb2.Schema = text_format.Parse(_TEMPLATE % values, schema_pb2.Schema())
    schema.string_domain.add(name=_CLASS_NAMES_DOMAIN, value=class_names)
    return schema


def read_class_names(schema_path: str) -> list[str]:
    """Returns the class names in label order that `build_schema` put into a schema, from its file."""
    schema = io_utils.SchemaReader().read(schema_path)
    return next(list(domain.value) for domain in schema.string_domain if domain.name == _CLASS_NAMES_DOMAIN)
