"""The exported classifier: preprocessing, backbone, head and class names in one SavedModel with explicit signatures."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components.contracts import IMAGE_KEY, transformed_name
from components.contracts.familiarity import FAMILIARITY_OUTPUT
from components.modeling.familiarity import Familiarity
from components.modeling.head import exported_weights
from components.photos.formats import NATIVE_LAYOUTS, UNSUPPORTED_BMP, any_image_format

SERVING_SIGNATURE = "serving_default"
RAW_EXAMPLES_SIGNATURE = "serving_tf_examples"
_LOGITS = "logits"
_PADDING = b"\0" * max(at + len(part) for layout in NATIVE_LAYOUTS for at, part in layout)


class ServingModel(tf.Module):
    """A classifier from JPEG bytes or raw tf.Examples to probabilities."""

    def __init__(
        self,
        classifier: tf.keras.Sequential,
        transform_output: tft.TFTransformOutput,
        class_names: Sequence[str],
        backbone_digest: str,
        familiarity: Familiarity | None = None,
    ):
        """Assembles the parts.

        `classifier` has an input layer, `feature_extractor` and `classification_layers`, from images to logits [N, C];
        `class_names` are in label order. `backbone_digest` is the content digest of a frozen backbone, whose extracted
        features Evaluator can use; it is empty for a fine-tuned one, which Evaluator runs on photos. `familiarity` is
        fitted to the same backbone's features; None leaves out that output.
        """
        super().__init__(name="flowers")
        head = classifier.get_layer("classification_layers")
        transform = transform_output.transform_features_layer()
        # Functions, not attributes: a SavedModel traces every reachable Keras layer once more, which takes four times
        # as long as the rest of the export and slows down every loading. Their weights are attributes below; a
        # Transform graph with vocabularies would have to be an attribute (the export fails and says so).
        extractor = classifier.get_layer("feature_extractor")
        self._extract = lambda images: extractor(images, training=False)
        self._classify = lambda features: head(features, training=False)
        self._preprocess = transform.__call__
        self._class_names = tf.constant(list(class_names), name="class_names")
        # What fine-tuning starts from, readable in the exported model without knowing how Keras saves its layers.
        self.backbone = classifier.get_layer("feature_extractor").resolved_object
        self.head_weights = exported_weights(head)
        self._familiarity = familiarity
        # Variables, because Evaluator reads them, with the weights, from the variables' file alone.
        self.backbone_digest = tf.Variable(backbone_digest, trainable=False, name="backbone_digest")
        self.class_names = tf.Variable(list(class_names), trainable=False, name="class_names")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")], autograph=False)
    def classify_images(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies encoded photos, string [N], that TensorFlow decodes right (`is_native`); of a GIF the first frame.

        Returns `probabilities` float32 [N, C], `label` string [N], `score` float32 [N], the label's probability, and
        `familiarity` float32 [N], if the model has it. Any other file fails the batch with an error that names its
        position.
        """
        return self._describe(self._image_answers(image_bytes))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def classify_raw_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies serialized raw tf.Examples, string [N]; returns what `classify_images` returns."""
        parsed = tf.io.parse_example(examples, {IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)})
        return self._describe(self._image_answers(parsed[IMAGE_KEY]))

    # A function of its own, so that the backbone is traced, saved and loaded once and not once per signature.
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _image_answers(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_assert_image_files(image_bytes)]):
            transformed = self._preprocess({IMAGE_KEY: tf.expand_dims(image_bytes, -1)})
        images = transformed[transformed_name(IMAGE_KEY)]
        # oneDNN's convolutions, as TensorFlow 2.16 calls them, give an empty batch the wrong shape.
        return tf.cond(tf.equal(tf.shape(images)[0], 0), self._nothing, lambda: self._answers(self._extract(images)))

    def _answers(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = {_LOGITS: self._classify(features)}
        if self._familiarity:
            answers[FAMILIARITY_OUTPUT] = self._familiarity(features)
        return answers

    def _nothing(self) -> dict[str, tf.Tensor]:
        answers = {_LOGITS: tf.zeros([0, self._class_names.shape[0]])}
        if self._familiarity:
            answers[FAMILIARITY_OUTPUT] = tf.zeros([0])
        return answers

    def _describe(self, answers: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        others = dict(answers)
        probabilities = tf.nn.softmax(tf.cast(others.pop(_LOGITS), tf.float32))
        probabilities = tf.ensure_shape(probabilities, [None, self._class_names.shape[0]])
        label = tf.gather(self._class_names, tf.argmax(probabilities, axis=-1))
        return {
            "probabilities": probabilities,
            "label": label,
            "score": tf.reduce_max(probabilities, axis=-1),
            **others,
        }


def _assert_image_files(image_bytes: tf.Tensor) -> tf.Operation:
    """Returns an operation that fails unless all of string [N] start like files that TensorFlow decodes right.

    The message names the positions of the others.
    """
    # Padded, because bytes cannot be taken from behind the end of a short file.
    heads = tf.strings.join([tf.strings.substr(image_bytes, 0, len(_PADDING)), _PADDING])
    found = [
        tf.reduce_all([tf.strings.substr(heads, at, len(part)) == part for at, part in layout], axis=0)
        for layout in NATIVE_LAYOUTS
    ]
    known = tf.reduce_any(found, axis=0)
    positions = tf.squeeze(tf.where(~known), axis=-1)
    message = f"not a {any_image_format()} file, or a {UNSUPPORTED_BMP}, at these positions of the batch:"
    return tf.debugging.Assert(tf.reduce_all(known), [message, positions], summarize=20)


def image_size_of(transform_output: tft.TFTransformOutput) -> tuple[int, int]:
    """Returns the (height, width) in pixels that Transform's graph resizes photos to."""
    height, width, _ = transform_output.transformed_feature_spec()[transformed_name(IMAGE_KEY)].shape
    return height, width


def export(model: ServingModel, path: str) -> None:
    """Writes a SavedModel with both signatures to a folder, local or remote."""
    signatures = {SERVING_SIGNATURE: model.classify_images, RAW_EXAMPLES_SIGNATURE: model.classify_raw_examples}
    tf.saved_model.save(model, path, signatures=signatures)
